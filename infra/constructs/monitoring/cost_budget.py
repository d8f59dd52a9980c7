"""A budget over everything that carries this product's tag."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

#: The tag ``Application`` of every resource; it must be activated as a cost allocation tag.
APPLICATION = "card-recognition"


class CostBudget(Construct):
    """Tells the topic at 80 % of a month's budget, and when the forecast exceeds it.

    Args:
        scope: The stack.
        construct_id: Leads the logical ids.
        environment: The deployment's name.
        monthly_usd: The budget.
        topic: Receives the warning; AWS Budgets may publish to it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: str,
        monthly_usd: int,
        topic: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Budgets",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("budgets.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
            )
        )
        heard = budgets.CfnBudget.SubscriberProperty(
            subscription_type="SNS", address=topic.topic_arn
        )

        def at(kind: str, percent: int) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
            return budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[heard],
            )

        budgets.CfnBudget(
            self,
            "Resource",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"cards-{environment}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=monthly_usd, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:Application${APPLICATION}"]},
            ),
            notifications_with_subscribers=[at("ACTUAL", 80), at("FORECASTED", 100)],
        )
