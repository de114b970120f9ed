"""The executor that runs playbooks. The only room that knows ansible-runner."""

from .executor import AnsibleExecutor

__all__ = ["AnsibleExecutor"]
