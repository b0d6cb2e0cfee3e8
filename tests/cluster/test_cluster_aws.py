"""cluster.yaml against moto's EC2 and IAM: Ray's own schema, bootstrap and launch, and our part."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import pytest
from amazon import REGION, as_a_user_edits_it
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config

from search.cluster import aws
from search.cluster.aws_provider import AwsProvider
from search.errors import ClusterError

pytestmark = pytest.mark.slow  # a new AWS for each test


@pytest.fixture
def resolved(amazon: Any, tmp_path: Path) -> dict[str, Any]:
    """The configuration that Ray launches from: our preparation, then Ray's own steps."""
    ready = AwsProvider.fillout_available_node_types_resources(prepare_config(as_a_user_edits_it()))
    validate_config(ready)
    return bootstrap_aws(aws.prepare(ready, ssh_key=Path(ready["auth"]["ssh_private_key"])))


def test_what_we_say_a_node_type_has_is_what_ec2_says_of_it(resolved, amazon):
    said = {name: node["resources"] for name, node in resolved["available_node_types"].items()}
    asked = deepcopy(resolved)
    for node in asked["available_node_types"].values():
        node["resources"] = {}
    found = AWSNodeProvider.fillout_available_node_types_resources(asked)["available_node_types"]
    for name in ("gpu_spot", "gpu_on_demand"):
        assert {key: found[name]["resources"][key] for key in ("CPU", "GPU")} == said[name]


def launch(resolved: dict[str, Any], node_type: str, kind: str) -> dict[str, Any]:
    """Launch one node as Ray does; what EC2 then says of it."""
    provider = AWSNodeProvider(resolved["provider"], resolved["cluster_name"])
    config = resolved["available_node_types"][node_type]["node_config"]
    created = provider.create_node(
        config, {"ray-node-type": kind, "ray-user-node-type": node_type}, 1
    )
    ec2 = boto3.client("ec2", region_name=REGION)
    found = ec2.describe_instances(InstanceIds=list(created))
    return found["Reservations"][0]["Instances"][0]


def test_ssh_is_open_to_one_address_and_all_else_to_members_only(resolved, amazon):
    group = resolved["available_node_types"]["head"]["node_config"]["SecurityGroupIds"]
    rules = amazon.describe_security_groups(GroupIds=group)["SecurityGroups"][0]["IpPermissions"]
    ssh = [rule for rule in rules if rule["IpRanges"]]
    inside = [rule for rule in rules if rule["UserIdGroupPairs"]]
    assert len(rules) == 2
    assert [(r["FromPort"], r["ToPort"], r["IpRanges"]) for r in ssh] == [
        (22, 22, [{"CidrIp": "198.51.100.4/32"}])
    ]
    assert [pair["GroupId"] for rule in inside for pair in rule["UserIdGroupPairs"]] == group


def test_every_node_type_is_in_the_closed_group_and_no_other_group_was_made(resolved, amazon):
    types = resolved["available_node_types"].values()
    assert len({tuple(node["node_config"]["SecurityGroupIds"]) for node in types}) == 1
    names = {g["GroupName"] for g in amazon.describe_security_groups()["SecurityGroups"]}
    assert names == {"default", "stacnet"}


def test_up_again_takes_back_the_rule_of_an_address_that_was_left(amazon, tmp_path):
    plain = as_a_user_edits_it()
    aws.prepare(plain, ssh_key=tmp_path / "key")
    plain["metadata"]["ssh_from"] = "192.0.2.9/32"
    aws.prepare(plain, ssh_key=tmp_path / "key")
    groups = amazon.describe_security_groups(GroupNames=["stacnet"])["SecurityGroups"]
    rules = groups[0]["IpPermissions"]
    assert [r["IpRanges"] for r in rules if r["IpRanges"]] == [[{"CidrIp": "192.0.2.9/32"}]]


def test_a_group_is_opened_anew_before_the_old_is_closed_and_left_alone_if_it_fits(
    amazon, tmp_path
):
    plain, asked = as_a_user_edits_it(), []
    aws.prepare(plain, ssh_key=tmp_path / "key")
    events = boto3._get_default_session().events
    for name in ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"):
        events.register(f"before-call.ec2.{name}", lambda model, **_: asked.append(model.name))
    plain["metadata"]["ssh_from"] = "192.0.2.9/24"  # kept by EC2 as that of the network
    aws.prepare(plain, ssh_key=tmp_path / "key")
    assert asked == ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]
    aws.prepare(plain, ssh_key=tmp_path / "key")
    assert len(asked) == 2
    plain["metadata"]["ssh_from"] = "home"
    with pytest.raises(ClusterError, match=r"metadata\.ssh_from must be an address, got 'home'"):
        aws.prepare(plain, ssh_key=tmp_path / "key")


@pytest.mark.parametrize("node_type", ["head", "gpu_spot", "gpu_on_demand"])
def test_a_launched_node_has_imdsv2_an_encrypted_volume_our_key_and_our_labels(
    resolved, amazon, node_type
):
    asked: list[dict[str, Any]] = []
    session = boto3.DEFAULT_SESSION or boto3._get_default_session()
    session.events.register(
        "provide-client-params.ec2.RunInstances", lambda params, **_: asked.append(params)
    )
    from ray.autoscaler._private.aws import utils

    utils.resource_cache.cache_clear()  # clients made from now on report what they send
    node = launch(resolved, node_type, "head" if node_type == "head" else "worker")
    assert asked[0]["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    volumes = [mapping["Ebs"]["VolumeId"] for mapping in node["BlockDeviceMappings"]]
    found = amazon.describe_volumes(VolumeIds=volumes)["Volumes"]
    assert [(v["Encrypted"], v["VolumeType"], v["Size"]) for v in found] == [(True, "gp3", 120)]
    assert node["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True
    assert node["KeyName"] == "stacnet"
    tags = {tag["Key"]: tag["Value"] for tag in node["Tags"]}
    assert (tags["project"], tags["ray-cluster-name"]) == ("stacnet", "stacnet")
    role = "stacnet-head" if node_type == "head" else "stacnet-worker"
    assert node["IamInstanceProfile"]["Arn"].endswith(f"/{role}")


def test_only_the_spot_type_is_bought_on_the_spot_market(resolved):
    market = {
        node_type: launch(resolved, node_type, "worker").get("InstanceLifecycle", "on-demand")
        for node_type in ("head", "gpu_spot", "gpu_on_demand")
    }
    assert market == {"head": "on-demand", "gpu_spot": "spot", "gpu_on_demand": "on-demand"}


def test_what_aws_refuses_is_one_error_of_ours(amazon, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ClusterError, match="AWS must allow it, got: Could not connect"):
        aws.head_address(REGION, name="stacnet")


def test_workers_may_use_one_bucket_and_the_head_may_give_away_only_their_role(resolved):
    iam = boto3.client("iam", region_name=REGION)

    def allowed(role: str) -> dict[str, Any]:
        policy = iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
        return {a: s["Resource"] for s in policy["Statement"] for a in _listed(s["Action"])}

    worker, head = allowed("stacnet-worker"), allowed("stacnet-head")
    assert all(action.startswith("s3:") for action in worker)
    assert worker["s3:PutObject"] == ["arn:aws:s3:::lab-bucket", "arn:aws:s3:::lab-bucket/*"]
    assert head["iam:PassRole"].endswith("role/stacnet-worker")
    assert "ec2:RunInstances" in head


def test_down_leaves_no_instance_key_group_or_role(resolved, amazon):
    for node_type in ("head", "gpu_spot"):
        launch(resolved, node_type, "head" if node_type == "head" else "worker")
    left = aws.remove(REGION, name="stacnet")
    assert len(left) == 2
    amazon.terminate_instances(InstanceIds=left)
    assert aws.remove(REGION, name="stacnet") == []
    assert amazon.describe_key_pairs()["KeyPairs"] == []
    groups = amazon.describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default"}
    assert boto3.client("iam", region_name=REGION).list_roles()["Roles"] == []


def test_the_head_is_found_by_its_address(resolved):
    with pytest.raises(ClusterError, match="must have a running head, got none"):
        aws.head_address(REGION, name="stacnet")
    node = launch(resolved, "head", "head")
    assert aws.head_address(REGION, name="stacnet") == node["PublicIpAddress"]


@pytest.mark.parametrize("spot_fails", [False, True])
def test_rays_scheduler_takes_spot_first_and_on_demand_after_a_failed_launch(resolved, spot_fails):
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.autoscaler_pb2 import ResourceRequestByCount

    types = AutoscalingConfig(resolved, skip_content_hash=True).get_node_type_configs()
    demand = ResourceRequestByCount(request=ResourceRequestUtil.make({"GPU": 1.0}), count=1)
    seen = {"gpu_spot": 0.0} if spot_fails else {}
    request = SchedulingRequest(
        node_type_configs=types,
        max_num_nodes=9,
        disable_launch_config_check=False,
        resource_requests=[demand],
        cloud_resource_availabilities=seen,
        recoverable_resource_availabilities=seen,
    )
    reply = ResourceDemandScheduler(event_logger=None).schedule(request)
    wanted = "gpu_on_demand" if spot_fails else "gpu_spot"
    assert {
        launch.instance_type for launch in reply.to_launch if launch.instance_type != "head"
    } == {wanted}


def _listed(action: str | list[str]) -> list[str]:
    return [action] if isinstance(action, str) else action
