"""The errors that reach a person or a `stage_runs` row.

StreferError
├── InputError           the video or file is at fault; a retry cannot help
│   ├── UnreadableVideo  the bytes are no video that we can decode
│   └── LimitExceeded    the video is larger than the settings allow
├── ConfigError          the settings are at fault; a person must change them
├── BackendError         a model or service gave no usable answer; a retry can help
│   ├── UnusableReply    a served model answers, but nothing of it may be used
│   ├── ServerAway       a served model is gone or takes nothing more; waiting helps
│   └── TooLargeForDevice  one item alone does not fit into this device's memory
├── StoreError           Postgres, S3 or the broker did not answer; a retry can help
├── MismatchError        a result does not answer the request it was made for; a retry can help
├── MissingInput         a stage was asked for before the stages that it needs were done
├── WorkerLost           the process died on this video again and again; a retry can help elsewhere
├── ProcessPoisoned      the process has lost its GPU; only another process can go on
└── StackError           a part of the embedded stack did not start or stop
"""

from __future__ import annotations


class StreferError(Exception):
    """Base of all expected failures. `is_retryable` says whether trying again at once can help."""

    is_retryable = False


class InputError(StreferError):
    """The input is at fault: the message names it, what is wrong, and the way out."""


class UnreadableVideo(InputError):
    """The bytes cannot be decoded as video."""


class LimitExceeded(InputError):
    """The video is larger than the settings allow."""


class ConfigError(StreferError):
    """A setting is missing, malformed or contradicts another."""


class BackendError(StreferError):
    """A model or a served model gave no usable answer."""

    is_retryable = True


class UnusableReply(BackendError):
    """A served model answers, and none of its samples may be used. At once it would say the same again."""

    is_retryable = False


class ServerAway(BackendError):
    """A served model is gone, or takes nothing more. The question is not at fault: later it is answered."""


class TooLargeForDevice(BackendError):
    """One item alone does not fit into the device's memory. On this worker it never will."""

    is_retryable = False


class StoreError(StreferError):
    """Postgres, the object store or the broker failed."""

    is_retryable = True


class MismatchError(StreferError):
    """A result does not answer the request it was made for; it is refused, never written."""

    is_retryable = True


class StackError(StreferError):
    """A part of the embedded stack did not start, answer or stop; names the part and its log."""


class MissingInput(StreferError):
    """A stage was asked for before the stages that it needs were done for this video."""

    is_retryable = True


class WorkerLost(StreferError):
    """The stage's process died on this video as often as the settings allow (out of memory, killed)."""

    is_retryable = True


class ProcessPoisoned(StreferError):
    """The process has lost its GPU: whatever it computes next fails too. It must end."""
