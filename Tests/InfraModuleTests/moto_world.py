"""Runs moto (https://docs.getmoto.org) as STS and EC2, with the accounts, roles and instances of the tests.

Prints one line of JSON: the URL, the access key of the hub, and the IDs and addresses of the instances. moto checks
signatures and policies of every call after that. After each line of input, the sessions that exist are invalid.

moto lacks the filters by the addresses and names of network interfaces, and that by zone compares with an object; they
are replaced here, with moto's own data.
"""
import json, sys, urllib.request
import boto3
from moto.ec2 import utils
from moto.ec2.models.instances import Instance
from moto.server import ThreadedMotoServer
from moto.sts.models import sts_backends


def addresses(pick):
    return property(lambda instance: [found for nic in instance.nics.values() for found in pick(nic)])


Instance.all_private = addresses(lambda nic: [one["PrivateIpAddress"] for one in nic.private_ip_addresses])
Instance.all_public = addresses(lambda nic: [nic.public_ip] if nic.public_ip else [])
Instance.all_private_names = addresses(
    lambda nic: [one["PrivateDnsName"] for one in nic.private_ip_addresses if one.get("PrivateDnsName")])
Instance.all_public_names = property(lambda instance: [instance.public_dns_name])
Instance.all_six = addresses(lambda nic: list(nic.ipv6_addresses))
utils.filter_dict_attribute_mapping.update({
    "network-interface.addresses.private-ip-address": "all_private",
    "network-interface.addresses.association.public-ip": "all_public",
    "network-interface.addresses.private-dns-name": "all_private_names",
    "network-interface.addresses.association.public-dns-name": "all_public_names",
    "network-interface.ipv6-addresses.ipv6-address": "all_six",
    "availability-zone": "placement.zone",
})

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://127.0.0.1:%d" % server.get_host_and_port()[1]


def client(service, region="us-east-1", keys=None):
    keys = keys or {"AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": None}
    return boto3.client(
        service, region_name=region, endpoint_url=url, aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])


def policy(action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource}]})


ROLE = "PetrelInspection"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}]})


def account(number, may_describe=True):
    """Makes the role of an account, and returns keys for the account."""
    keys = client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{number}:role/setup", RoleSessionName="setup")["Credentials"]
    iam = client("iam", keys=keys)
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
    if may_describe:
        iam.put_role_policy(RoleName=ROLE, PolicyName="inspect", PolicyDocument=policy("ec2:DescribeInstances"))
    return keys


def launch(ec2, name, six=False, interfaces=1, **tags):
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.2.3.0/24", Ipv6CidrBlock=block)["Subnet"]["SubnetId"]
    first = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    image = ec2.describe_images()["Images"][0]["ImageId"]
    found = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro", NetworkInterfaces=[first],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [
            {"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]}])["Instances"][0]
    made = {"id": found["InstanceId"], "image": image}
    nic = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=nic, SecondaryPrivateIpAddressCount=1)
    if six:
        made["six"] = ec2.assign_ipv6_addresses(
            NetworkInterfaceId=nic, Ipv6AddressCount=1)["AssignedIpv6Addresses"][0]
    for index in range(1, interfaces):
        other = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
        ec2.attach_network_interface(
            DeviceIndex=index, InstanceId=made["id"], NetworkInterfaceId=other["NetworkInterfaceId"])
        made["other"] = other["PrivateIpAddress"]
    shown = ec2.describe_instances(InstanceIds=[made["id"]])["Reservations"][0]["Instances"][0]
    made["secondary"] = next(
        one["PrivateIpAddress"] for one in shown["NetworkInterfaces"][0]["PrivateIpAddresses"] if not one["Primary"])
    made.update(private=shown["PrivateIpAddress"], public=shown.get("PublicIpAddress"),
                private_name=shown["PrivateDnsName"], public_name=shown["PublicDnsName"],
                zone=shown["Placement"]["AvailabilityZone"])
    return made


iam = client("iam")
iam.create_user(UserName="petrel")
iam.put_user_policy(
    UserName="petrel", PolicyName="assume", PolicyDocument=policy("sts:AssumeRole", f"arn:aws:iam::*:role/{ROLE}"))
# A role in the hub, and a user that may assume only this role.
iam.create_role(RoleName="PetrelHub", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/other"}, "Action": "sts:AssumeRole"}]}))
iam.put_role_policy(
    RoleName="PetrelHub", PolicyName="assume", PolicyDocument=policy("sts:AssumeRole", f"arn:aws:iam::*:role/{ROLE}"))
iam.create_user(UserName="other")
iam.put_user_policy(UserName="other", PolicyName="hub", PolicyDocument=policy(
    "sts:AssumeRole", "arn:aws:iam::123456789012:role/PetrelHub"))
other = iam.create_access_key(UserName="other")["AccessKey"]
key = iam.create_access_key(UserName="petrel")["AccessKey"]

production, staging = account("111111111111"), account("222222222222")
development, locked = account("333333333333"), account("444444444444", may_describe=False)
london, virginia = client("ec2", "eu-west-2", production), client("ec2", "us-east-1", staging)
ireland = client("ec2", "eu-west-1", development)
instances = {
    "web": launch(london, "web-1", six=True, Role="web", Environment="production"),
    "stopped": launch(london, "web-2", Role="web"),
    "db": launch(virginia, "db-1", interfaces=2, Role="db", Environment="staging"),
    "gone": launch(ireland, "old-1"),
    "spaced": launch(ireland, "Jenkins master", Team="b c"),
}
london.stop_instances(InstanceIds=[instances["stopped"]["id"]])
ireland.terminate_instances(InstanceIds=[instances["gone"]["id"]])
# With this content type only.
urllib.request.urlopen(urllib.request.Request(
    url + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}))
print(json.dumps({"url": url, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"],
                  "other_key": other["AccessKeyId"], "other_secret": other["SecretAccessKey"], **instances}), flush=True)
for line in sys.stdin:
    for account in sts_backends.values():
        account["aws"].assumed_roles.clear()
    print("forgotten", flush=True)
