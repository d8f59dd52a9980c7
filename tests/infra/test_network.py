"""Jobs without a way to the internet: what their network has, and who joins it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.network_stack import SERVICES
from tests.infra.assembly import Assembly, as_list
from tests.infra.test_stacks import variables


@pytest.fixture(scope="module")
def isolated(synthesise: Any) -> Assembly:
    found: Assembly = synthesise(network="isolated")
    return found


def of_network(isolated: Assembly, kind: str) -> list[dict[str, Any]]:
    template = isolated.templates["network"]
    return [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == kind
    ]


def test_there_is_none_unless_it_is_asked_for(deployment: Assembly) -> None:
    assert "network" not in deployment.names
    assert variables(deployment, "compile_approved")["COMPILE_SUBNETS"] == "none"


def test_nothing_in_it_leads_to_the_internet(isolated: Assembly) -> None:
    kinds = {r["Type"] for r in isolated.templates["network"]["Resources"].values()}
    assert not {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway"} & kinds
    assert not of_network(isolated, "AWS::EC2::Route")
    assert len(of_network(isolated, "AWS::EC2::Subnet")) == 2
    assert of_network(isolated, "AWS::EC2::FlowLog")


def test_every_service_that_a_job_asks_is_inside(isolated: Assembly) -> None:
    endpoints = of_network(isolated, "AWS::EC2::VPCEndpoint")
    assert len(endpoints) == len(SERVICES) + 1
    interfaces = [each for each in endpoints if each["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == len(SERVICES)
    assert all(each["PrivateDnsEnabled"] for each in interfaces)


def test_services_are_reached_by_jobs_over_tls_alone(isolated: Assembly) -> None:
    rules = of_network(isolated, "AWS::EC2::SecurityGroupIngress")
    ports = {(each.get("FromPort"), each["IpProtocol"]) for each in rules}
    assert ports == {(443, "tcp"), (None, "-1")}
    assert all("CidrIp" not in each for each in rules)


@pytest.mark.parametrize("role", ["TrainingRole", "CompileRole"])
def test_jobs_may_join_these_subnets_and_no_others(isolated: Assembly, role: str) -> None:
    statements = {tuple(as_list(s["Action"])): s for s in isolated.grants(role)}
    create = statements[("ec2:CreateNetworkInterface",)]
    assert not [each for each in as_list(create["Resource"]) if each.endswith("subnet/*")]
    deleting = next(s for names, s in statements.items() if "ec2:DeleteNetworkInterface" in names)
    assert len(deleting["Condition"]["ArnEquals"]["ec2:Subnet"]) == 2


def test_compile_jobs_are_placed_there(isolated: Assembly) -> None:
    given = variables(isolated, "compile_approved")
    assert len(given["COMPILE_SUBNETS"].split(",")) == 2
    assert given["COMPILE_SECURITY_GROUP"] != "none"
