"""What a cluster on AWS needs beside its YAML: a closed security group, a key, two roles.

Ray makes these itself if the YAML leaves them out, but with ssh open to every address, with full
access to EC2 and S3, and it leaves the key and the group behind.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from search.errors import ClusterError

EC2_OF_HEAD = (  # what Ray's autoscaler calls
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "ec2:CreateTags",
    "ec2:Describe*",
)
IAM_SETTLES_S = 15.0  # EC2 does not know a new instance profile at once (Ray waits as long)
S3_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
TRUST_EC2 = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What AWS says, as an error of ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise ClusterError(f"AWS must allow it, got: {error}") from None


@_in_one_line()
def prepare(plain: dict[str, Any], *, ssh_key: Path) -> dict[str, Any]:
    """Make the key, the security group and the roles; the YAML with their names in it.

    Args:
        plain: a cluster's YAML; `metadata.bucket` and `metadata.ssh_from` are read.
        ssh_key: private key file; made if there is none.

    Raises:
        ClusterError: AWS refuses, or cannot be asked.
    """
    name, region = plain["cluster_name"], plain["provider"]["region"]
    asked = plain.get("metadata") or {}
    for field in ("bucket", "ssh_from"):
        if not isinstance(asked.get(field), str):
            raise ClusterError(f"metadata.{field} must be given, got {asked.get(field)}")
    address = _network(asked["ssh_from"])
    _make_key(ssh_key, region=region, name=name)
    group = _make_group(address, region=region, name=name)
    _make_roles(asked["bucket"], region=region, name=name)
    made = deepcopy(plain)
    for kind, node_type in made["available_node_types"].items():
        role = f"{name}-head" if kind == plain["head_node_type"] else f"{name}-worker"
        node_type["node_config"] |= {
            "KeyName": name,
            "SecurityGroupIds": [group],
            "IamInstanceProfile": {"Name": role},
        }
    return made


@_in_one_line()
def head_address(region: str, *, name: str) -> str:
    """Public address of the running head.

    Raises:
        ClusterError: there is none.
    """
    for instance in _instances(region, name=name, states=["running"]):
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        if tags.get("ray-node-type") == "head":
            return instance["PublicIpAddress"]
    raise ClusterError(f"{name}: a cluster must have a running head, got none in {region}")


@_in_one_line()
def remove(region: str, *, name: str) -> list[str]:
    """Remove the key, the group and the roles after `ray down`.

    Returns:
        What is left and costs money: instances that do not end, volumes.
    """
    left = _instances(region, name=name, states=["pending", "running", "stopping", "stopped"])
    if left:
        return [instance["InstanceId"] for instance in left]
    ec2 = _client("ec2", region)
    ended = [i["InstanceId"] for i in _instances(region, name=name, states=["shutting-down"])]
    if ended:
        ec2.get_waiter("instance_terminated").wait(InstanceIds=ended)
    ec2.delete_key_pair(KeyName=name)
    for group in ec2.describe_security_groups(Filters=_named("group-name", name))["SecurityGroups"]:
        ec2.delete_security_group(GroupId=group["GroupId"])
    _remove_roles(region, name=name)
    volumes = ec2.describe_volumes(Filters=_named("tag:cluster", name))["Volumes"]
    return [volume["VolumeId"] for volume in volumes]


def _client(service: str, region: str) -> Any:
    import boto3  # only who uses AWS needs it

    return boto3.client(service, region_name=region)


def _instances(region: str, *, name: str, states: list[str]) -> list[dict[str, Any]]:
    filters = [
        *_named("tag:ray-cluster-name", name),
        {"Name": "instance-state-name", "Values": states},
    ]
    pages = _client("ec2", region).get_paginator("describe_instances").paginate(Filters=filters)
    return [i for page in pages for group in page["Reservations"] for i in group["Instances"]]


def _named(key: str, value: str) -> list[dict[str, Any]]:
    return [{"Name": key, "Values": [value]}]


def _make_key(file: Path, *, region: str, name: str) -> None:
    """A key for this cluster alone; AWS gets its public half."""
    public = file.with_name(file.name + ".pub")
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
        subprocess.run(["ssh-keygen", *words], check=True)
    ec2 = _client("ec2", region)
    ec2.delete_key_pair(KeyName=name)
    ec2.import_key_pair(KeyName=name, PublicKeyMaterial=public.read_bytes())


def _network(ssh_from: str) -> str:
    try:
        return str(ip_network(ssh_from, strict=False))
    except ValueError as error:
        raise ClusterError(f"metadata.ssh_from must be an address, got {error}") from None


def _make_group(address: str, *, region: str, name: str) -> str:
    """A security group in the default VPC: ssh from one address, everything between its members."""
    ec2 = _client("ec2", region)
    vpcs = ec2.describe_vpcs(Filters=_named("is-default", "true"))["Vpcs"]
    if not vpcs:
        raise ClusterError(f"{name}: {region} must have a default VPC, got none")
    found = ec2.describe_security_groups(Filters=_named("group-name", name))["SecurityGroups"]
    if found:
        group = found[0]["GroupId"]
    else:
        about = f"stacnet cluster {name}"
        vpc = vpcs[0]["VpcId"]
        group = ec2.create_security_group(GroupName=name, Description=about, VpcId=vpc)["GroupId"]
    _set_rules(ec2, group, address=address)
    return group


def _set_rules(ec2: Any, group: str, *, address: str) -> None:
    """First what is wanted, then without the rest: Ray opens a group that has no rules."""
    ssh = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": address}]}
    inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    wanted = {("tcp", 22, 22, address): ssh, ("-1", -1, -1, group): inside}
    pages = ec2.get_paginator("describe_security_group_rules")
    rules = pages.paginate(Filters=_named("group-id", group)).build_full_result()
    there = [rule for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
    missing = [wanted[key] for key in wanted.keys() - {_opens(rule) for rule in there}]
    if missing:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=missing)
    old = [rule["SecurityGroupRuleId"] for rule in there if _opens(rule) not in wanted]
    if old:
        ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=old)


def _opens(rule: dict[str, Any]) -> tuple[str, int, int, str | None]:
    """Protocol, ports and who may come, an address or a group."""
    who = rule.get("CidrIpv4") or rule.get("ReferencedGroupInfo", {}).get("GroupId")
    return rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1), who


def _make_roles(bucket: str, *, region: str, name: str) -> None:
    """Workers read and write one bucket; the head also starts and ends workers."""
    iam = _client("iam", region)
    arn = f"arn:aws:s3:::{bucket}"
    s3 = {"Effect": "Allow", "Action": S3_ACTIONS, "Resource": [arn, f"{arn}/*"]}
    ec2 = {"Effect": "Allow", "Action": EC2_OF_HEAD, "Resource": "*"}
    worker = _make_role(iam, f"{name}-worker", statements=[s3])
    give = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": worker}
    _make_role(iam, f"{name}-head", statements=[s3, ec2, give])


def _make_role(iam: Any, role: str, *, statements: list[dict[str, Any]]) -> str:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    try:
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST_EC2))
        iam.create_instance_profile(InstanceProfileName=role)
        iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
        time.sleep(IAM_SETTLES_S)
    except iam.exceptions.EntityAlreadyExistsException:
        arn = iam.get_role(RoleName=role)
    iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=policy)
    return arn["Role"]["Arn"]


def _remove_roles(region: str, *, name: str) -> None:
    iam = _client("iam", region)
    for role in (f"{name}-worker", f"{name}-head"):
        try:
            iam.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
            iam.delete_instance_profile(InstanceProfileName=role)
            iam.delete_role_policy(RoleName=role, PolicyName=role)
            iam.delete_role(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            continue
