"""Ray's provider of machines that are listed, as cluster.local.yaml names it."""

from search.cluster import launch
from search.cluster.cluster import stop_machines
from search.cluster.launch import Config
from search.drive import private

NOT_LISTED = ("available_node_types", "head_node_type", "head_node", "worker_nodes", "max_workers")


class LocalProvider(private.local_provider()):
    """Ray's own, with what `search.cluster.launch` does before up and after down."""

    def __init__(self, provider_config: Config, cluster_name: str) -> None:
        launch.forget_cache(provider_config)
        super().__init__(provider_config, cluster_name)

    @classmethod
    def fillout_available_node_types_resources(cls, cluster_config: Config) -> Config:
        """One type of machine, all of `worker_ips`, as Ray makes of `type: local`."""
        kept = {key: value for key, value in cluster_config.items() if key not in NOT_LISTED}
        return launch.described(private.prepared_local(kept), "local")

    @classmethod
    def bootstrap_config(cls, cluster_config: Config) -> Config:
        """The configuration; before the cluster starts, what it needs is made.

        Raises:
            SystemExit: it cannot be.
        """
        with launch.in_one_line():
            launch.begin(cluster_config)
        return cluster_config

    def prepare_for_head_node(self, cluster_config: Config) -> Config:
        """What the head's autoscaler reads."""
        with launch.in_one_line():
            return launch.for_head(cluster_config, "local")

    def cleanup_cluster_resources(self) -> None:
        """Stop Ray on every machine, and look whether a process is left.

        Raises:
            SystemExit: one is.
        """
        with launch.in_one_line():
            launch.end(self.cluster_name, stop_machines)
