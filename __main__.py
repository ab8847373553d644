"""``python -m lift_agent`` is the same as the ``lift-agent`` command."""

from .cli import main

main()
