"""The errors of a search that its user can do something about."""


class StudyError(ValueError):
    """A study cannot be run as asked: the rule, then the value.

    StudyError
      StorageError   the storage cannot be read or written (full, gone, not permitted)
      StoreError     what the storage holds is not a store this version can read
        UnreadableError  (both of them) one file cannot be read, and waiting does not help
      LeaseError     another driver is at work on the study
      ClusterError   a cluster cannot be started, asked or ended
    """


class StorageError(StudyError):
    """The storage cannot be read or written."""


class StoreError(StudyError):
    """A file of the store is damaged, or of a newer version."""


class UnreadableError(StorageError, StoreError):
    """A file is not to be read: not permitted, or a folder, a pipe, a link that leads nowhere."""


class LeaseError(StudyError):
    """Another driver is at work on the study, or took it over."""


class ClusterError(StudyError):
    """A cluster cannot be started, asked or ended as wanted."""
