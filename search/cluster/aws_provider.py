"""Ray's provider of AWS, as cluster.yaml names it, with a group, a key and roles of its own."""

from search.cluster import aws, launch
from search.cluster.cluster_file import Cluster
from search.cluster.launch import Config
from search.drive import private


class AwsProvider(private.aws_provider()):
    """Ray's own, with what `search.cluster.launch` does before up and after down."""

    def __init__(self, provider_config: Config, cluster_name: str) -> None:
        launch.forget_cache(provider_config)
        super().__init__(provider_config, cluster_name)

    @classmethod
    def fillout_available_node_types_resources(cls, cluster_config: Config) -> Config:
        """The types of machines as the YAML has them."""
        folder = Cluster.folder_of(cluster_config["cluster_name"])
        auth = {"ssh_private_key": str(folder / "id_ed25519")} | cluster_config["auth"]
        return launch.described(cluster_config | {"auth": auth}, "aws")

    @classmethod
    def bootstrap_config(cls, cluster_config: Config) -> Config:
        """The configuration; before the cluster starts, what it needs is made, in AWS too.

        Raises:
            SystemExit: it cannot be.
        """
        with launch.in_one_line():
            cluster = launch.begin(cluster_config)
            if cluster is None:
                return cluster_config
            made = aws.prepare(cluster_config, ssh_key=cluster.ssh_key)
        return super().bootstrap_config(made)

    def prepare_for_head_node(self, cluster_config: Config) -> Config:
        """What the head's autoscaler reads."""
        with launch.in_one_line():
            return launch.for_head(cluster_config, "aws")

    def cleanup_cluster_resources(self) -> None:
        """Remove key, group and roles, and look whether an instance or a volume is left.

        Raises:
            SystemExit: one is.
        """
        with launch.in_one_line():
            launch.end(self.cluster_name, lambda one: (aws.remove(one.region, name=one.name), []))
