"""Ray's provider of machines that are listed, as cluster.local.yaml names it."""

from search.cluster import launch
from search.cluster.cluster import stop_machines
from search.cluster.cluster_file import Cluster
from search.cluster.launch import Config
from search.drive import private

NOT_LISTED = ("available_node_types", "head_node_type", "head_node", "worker_nodes", "max_workers")


class LocalProvider(launch.Guarded, private.local_provider()):
    """Ray's own, with what `search.cluster.launch` does before up and after down."""

    kind = "local"

    @staticmethod
    def completed(config: Config) -> Config:
        """One type of machine, all of `worker_ips`, as Ray makes of `type: local`."""
        kept = {key: value for key, value in config.items() if key not in NOT_LISTED}
        return private.prepared_local(kept)

    @staticmethod
    def bootstrap_config(cluster_config: Config) -> Config:
        """The configuration; before the cluster starts, what it needs is made.

        Raises:
            SystemExit: it cannot be.
        """
        with launch.in_one_line():
            launch.begin(cluster_config)
        return cluster_config

    @staticmethod
    def left(cluster: Cluster) -> tuple[list[str], list[str]]:
        """Stop Ray on every machine; those with processes of it, and those that do not answer."""
        return stop_machines(cluster)
