"""The record's Markdown template: sections as in the record of February 2026, and what that lacked."""

from __future__ import annotations

from typing import Final

MARKDOWN: Final = """\
# Runtime Cutover Decision Record (Joint)

Updated: {{ record.updated_at | instant }}  
Owner: {{ record.owner | md }}

Rendered from the decision log: {{ record.log_size }} entries, head `{{ record.log_head }}`.

## Decision Scope
This record is the bilateral decision artifact for Phase {{ record.phase_name | md }}: {{ record.scope | md }}
(program `{{ record.program | code }}`).

## Decision Outcome
{% for line in record.outcomes %}
{{ loop.index }}. {{ line.title }}: **{{ line.outcome | md }}**
{% if line.digest %}
   - decision `{{ line.digest }}`, decided {{ line.decided_at | instant }}, valid until {{ line.expires_at | instant }},
     {{ "recomputes from the entries before it" if line.recomputes else "DOES NOT RECOMPUTE" }}
{% for approval in line.approvals %}
   - approved by {{ approval.name | md }} ({{ approval.party }}, key `{{ approval.keyid }}`) at {{ approval.at | instant }}
{% else %}
   - approved by nobody
{% endfor %}
{% for reason in line.reasons %}
   - {{ reason | md }}
{% endfor %}
{% endif %}
{% endfor %}

### Gates of the newest decision ({{ record.gates_of }})
{% if record.gates %}

| gate | outcome | reason | twins refused | evidence |
|---|---|---|---|---|
{% for gate in record.gates %}
| {{ gate.gate }} | {{ gate.outcome }}{{ " (waived by both)" if gate.waived_by }} | {{ gate.reason | md }} | \
{{ gate.twins_killed }} of {{ gate.twins_tried }} | {% for digest in gate.evidence %}`{{ digest }}`{{ " " if not loop.last }}\
{% else %}entries{% endfor %} |
{% endfor %}
{% endif %}

## Approved Runtime Cutover Window
- Window: {{ record.window.opens_at | instant }} to {{ record.window.closes_at | instant }}, nothing before \
{{ record.window.not_before | instant }}
- Notice: {{ record.window.notice_days }} days; overlap: {{ record.window.overlap_days }} days
- Approved runtime target:
{% for name, value in record.window.target.items() %}
  - {{ name }}: `{{ value | code }}`
{% endfor %}
- Rollback target:
{% for name, value in record.window.rollback_target.items() %}
  - {{ name }}: `{{ value | code }}`
{% endfor %}

## Ownership (Named Roles)
{% for role in record.roles %}
- {{ role.title | md }} ({{ role.party }}): \
{% if role.problem %}**NOT RESOLVED**, {{ role.problem | md }}{% else %}{{ role.holder | md }}, {{ role.contact | md }}, \
key `{{ role.keyid }}`, acknowledged {{ role.acknowledged_at | instant }}{% endif +%}
{% endfor %}

## Decision Inputs

| input | digest | signed by | at |
|---|---|---|---|
{% for line in record.inputs %}
| {{ line.name | md }} | `{{ line.digest }}` | {{ line.by.name | md }} ({{ line.by.party }}) | {{ line.by.at | instant }} |
{% endfor %}

## Stop Conditions (Immediate Abort / Rollback)
{% for condition, text in conditions %}
{{ loop.index }}. {{ text }} (`{{ condition }}`).
{% endfor %}
{% for stop in record.stops %}
- Stopped {{ stop.observed_at | instant }} by {{ stop.by.name | md }} ({{ stop.by.party }}): \
`{{ stop.condition }}`, {{ stop.reason | md }}
{% else %}
- Nobody stopped anything.
{% endfor %}

### Ways back, measured from the moment the stop was observed
{% if record.moves %}

| move | why | decided | routed | first applied baseline answer | requests at risk | counts |
|---|---|---|---|---|---|---|
{% for move in record.moves %}
| {{ move.operation }} {{ move.attempt }}, {{ move.observed_at | instant }} | {{ move.condition }}: {{ move.reason | md }} | \
{{ move.decided_ms | ms }} | {{ move.routed_ms | ms }} | {{ move.first_baseline_reply_ms | ms }} | \
{{ move.requests_at_risk }} | {% for name, count in move.counts.items() %}{{ name | md }} {{ count }}\
{{ ", " if not loop.last }}{% endfor %} |
{% endfor %}
{% else %}
None was taken.
{% endif %}

## Runtime Cutover Completion Evidence
{% for line in record.completion %}
{{ loop.index }}. {{ "[shown]" if line.is_shown else "[not shown]" }} {{ line.text | md }}: {{ line.fact | md }}
{% endfor %}

## Status
- Phase {{ record.phase_name | md }} runtime cutover: **{{ record.status }}** ({{ record.phase }})
- Operational posture: **{{ record.posture | md }}**
{% for reason in record.why %}
- Why: {{ reason | md }}
{% endfor %}
"""  # noqa: E501, W291  # rows of a table are one line; two spaces are a line break
