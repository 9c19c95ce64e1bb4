"""What the command's exit status means."""

from __future__ import annotations

SUCCESS = 0
FAILED = 1  # training did not come to its end
USER_ERROR = 2  # a wrong argument or file
INTERRUPTED = 130  # what a shell reports after Ctrl-C: 128 + SIGINT
