"""The values of the domain: frozen, checked when they are built, without any I/O."""

from .archive import Archive
from .baseline import Baseline
from .client import Client
from .clientvars import ClientVariables
from .contents import Change, Entry, Item, Version
from .drill import Drill, Proof
from .hostvars import HOST_VARIABLES
from .job import ACTIVE, FINISHED, STEPS, Job, JobKind, JobStatus, Progress, Stats
from .location import Location
from .pause import FULL, Pause
from .policy import Policy, Retention
from .repository import Repository, Vault
from .schedule import Schedule
from .settings import Settings
from .variables import Variables

__all__ = [
    "ACTIVE",
    "FINISHED",
    "FULL",
    "HOST_VARIABLES",
    "STEPS",
    "Archive",
    "Baseline",
    "Change",
    "Client",
    "ClientVariables",
    "Drill",
    "Entry",
    "Item",
    "Job",
    "JobKind",
    "JobStatus",
    "Location",
    "Pause",
    "Policy",
    "Progress",
    "Proof",
    "Repository",
    "Retention",
    "Schedule",
    "Settings",
    "Stats",
    "Variables",
    "Vault",
    "Version",
]
