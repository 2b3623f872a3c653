"""What an author of actions needs.

.. code-block:: python

    from mistral_lib import actions

    class Greet(actions.Action):
        '''Greets somebody.'''

        def __init__(self, name, greeting="Hello"):
            self.name = name
            self.greeting = greeting

        def run(self, context):
            return f"{self.greeting}, {self.name}!"

Registered under the entry point group ``mistral.actions`` (``my.greet = my_package:Greet``) it is
used in workflows as ``action: my.greet name="Ann"``.

An **asynchronous** action returns ``False`` from :meth:`Action.is_sync`; its ``run`` only tells
somebody else to do the work. The result comes later through the API, addressed by
``context.execution.action_execution_id``.

**Secrets**: the value of a parameter that is annotated with :data:`SecretStr`, or with
``Annotated[..., Secret()]``, is stored encrypted and never shown. Parameters without annotation
count by their names: ``password``, ``token``, ``private_key`` and the like.
"""

from mistral_lib.actions.base import Action
from mistral_lib.actions.context import ActionContext, ExecutionContext, SecurityContext
from mistral_lib.actions.secret import Secret, SecretStr
from mistral_lib.actions.types import Result
from mistral_lib.exceptions import ActionException

__all__ = [
    "Action",
    "ActionContext",
    "ActionException",
    "ExecutionContext",
    "Result",
    "Secret",
    "SecretStr",
    "SecurityContext",
]
