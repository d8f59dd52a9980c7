"""What people see of the automation: notices, alarms, dashboard and cost budget.

    topic = NoticeTopic(self, "Notices", email="team@example.com")
    Alarms(self, "Alarms", settings=settings, topic=topic, functions=functions)

All notices go to the one topic of ``notice_topic``; to send one kind to another topic, make a
second :class:`~.notice_topic.NoticeTopic` in ``infra/automation_stack.py`` and pass its ARN to the
function that publishes that kind.
"""
