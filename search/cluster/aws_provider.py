"""Ray's provider of AWS, as cluster.yaml names it, with a group, a key and roles of its own."""

from search.cluster import aws, launch
from search.cluster.cluster_file import Cluster
from search.cluster.launch import Config
from search.drive import private

RAYS_OWN = private.aws_provider()


class AwsProvider(launch.Guarded, RAYS_OWN):
    """Ray's own, with what `search.cluster.launch` does before up and after down."""

    kind = "aws"

    @staticmethod
    def completed(config: Config) -> Config:
        """A key of the cluster's own, if the YAML names none; the machines are as it has them."""
        folder = Cluster.folder_of(config["cluster_name"])
        return config | {"auth": {"ssh_private_key": str(folder / "id_ed25519")} | config["auth"]}

    @staticmethod
    def bootstrap_config(cluster_config: Config) -> Config:
        """The configuration; before the cluster starts, what it needs is made, in AWS too.

        Raises:
            SystemExit: it cannot be.
        """
        with launch.in_one_line():
            cluster = launch.begin(cluster_config)
            if cluster is None:
                return cluster_config
            made = aws.prepare(cluster_config, ssh_key=cluster.ssh_key)
        return RAYS_OWN.bootstrap_config(made)

    @staticmethod
    def left(cluster: Cluster) -> tuple[list[str], list[str]]:
        """Remove key, group and roles; instances and volumes that are there still."""
        return aws.remove(cluster.region, name=cluster.name), []
