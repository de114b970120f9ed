# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret from the library that started the run."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import Control, ControlError

DOCUMENTATION = r"""
name: secret
author: The cyborglib authors
short_description: Ask the library that started this run for a secret
description:
  - Asks over the run's control socket, so that the secret is in no file, argument or environment.
  - Only secrets that the job itself names are given out. The inventory that the library writes uses this for become
    passwords; there is no need for it in a playbook of your own.
options:
  _terms:
    description: The name of the secret.
    required: true
  jobs:
    description: The jobs in whose name it may be asked for; the first that is still at work is taken.
    type: list
    elements: list
    required: true
"""

EXAMPLES = r"""
- name: The password that the library holds for sudo on this host
  ansible.builtin.set_fact:
    ansible_become_password: "{{ lookup('cyborg.backup.secret', 'become_password', jobs=[[42, 1]]) }}"
"""

RETURN = r"""
_raw:
  description: The secret.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        return [self._secret(term) for term in terms]

    def _secret(self, name):
        problem = None
        for job, attempt in self.get_option("jobs"):
            control = None
            try:
                control = Control.connect(job, attempt)
                if control is None:
                    break
                return control.secret(name)
            except ControlError as refused:
                problem = refused
            finally:
                if control is not None:
                    control.close()
        raise AnsibleError(
            "The secret %r cannot be had: %s" % (name, problem or "no library started this run; give it as a variable")
        )
