"""The record's page: the sections of the Markdown, one file, light and dark, for screen and paper."""

from __future__ import annotations

from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5dae1; --soft: #f4f6f9;
  --good: #116329; --bad: #b3261e; --wait: #7a4d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171c; --line: #363d47;
  --soft: #1d2229; --good: #6bd28a; --bad: #ff8f86; --wait: #f0b95b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  min-width: 4.5rem; }
th { background: var(--soft); } td code { font-size: .75rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .2rem 1rem; margin: .5rem 0; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
.GO, .PASSED, .COMPLETE, .shown { color: var(--good); font-weight: 600; }
.NO-GO, .FAILED, .ROLLED, .REFUSED, .STOPPED { color: var(--bad); font-weight: 600; }
.HOLD, .UNKNOWN, .WARNED, .NOT, .IN { color: var(--wait); font-weight: 600; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; } h2 { break-after: avoid; }
  tr, li { break-inside: avoid; } .scroll { overflow: visible; } }
"""

HTML: Final = (
    """\
{% macro verdict(text) %}<span class="{{ text }}">{{ text }}</span>{% endmacro %}
{% macro facts(mapping) %}
<dl>
{% for name, value in mapping.items() %}
<dt>{{ name }}</dt><dd><code>{{ value }}</code></dd>
{% endfor %}
</dl>
{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Decision record: {{ record.program }}, {{ record.status }}</title>
<style>"""
    + _STYLE
    + """</style>
</head>
<body>
<header>
<h1>Runtime Cutover Decision Record (Joint)</h1>
<p>{{ record.owner }} · updated {{ record.updated_at | instant }} · {{ verdict(record.status) }}</p>
<p>Rendered from the decision log: {{ record.log_size }} entries, head <code>{{ record.log_head }}</code>.</p>
</header>
<main>
<section><h2>Decision Scope</h2>
<p>This record is the bilateral decision artifact for Phase {{ record.phase_name }}: {{ record.scope }}
(program <code>{{ record.program }}</code>).</p></section>
<section><h2>Decision Outcome</h2>
<ol>
{% for line in record.outcomes %}
<li>{{ line.title }}: {{ verdict(line.outcome) }}
{% if line.digest %}
<ul>
<li>decision <code>{{ line.digest }}</code>, decided {{ line.decided_at | instant }}, valid until
{{ line.expires_at | instant }},
{{ "recomputes from the entries before it" if line.recomputes else "DOES NOT RECOMPUTE" }}</li>
{% for approval in line.approvals %}
<li>approved by {{ approval.name }} ({{ approval.party }}, key <code>{{ approval.keyid }}</code>)
at {{ approval.at | instant }}</li>
{% else %}
<li>approved by nobody</li>
{% endfor %}
{% for reason in line.reasons %}
<li>{{ reason }}</li>
{% endfor %}
</ul>
{% endif %}
</li>
{% endfor %}
</ol>
<h3>Gates of the newest decision ({{ record.gates_of }})</h3>
{% if record.gates %}
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">gate</th><th scope="col">outcome</th><th scope="col">reason</th>
<th scope="col">twins refused</th><th scope="col">evidence</th></tr></thead>
<tbody>
{% for gate in record.gates %}
<tr><th scope="row">{{ gate.gate }}</th>
<td>{{ verdict(gate.outcome) }}{{ " (waived by both)" if gate.waived_by }}</td><td>{{ gate.reason }}</td>
<td>{{ gate.twins_killed }} of {{ gate.twins_tried }}</td>
<td>{% for digest in gate.evidence %}<code>{{ digest }}</code> {% else %}entries{% endfor %}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section><h2>Approved Runtime Cutover Window</h2>
<dl><dt>opens</dt><dd>{{ record.window.opens_at | instant }}</dd>
<dt>closes</dt><dd>{{ record.window.closes_at | instant }}</dd>
<dt>nothing before</dt><dd>{{ record.window.not_before | instant }}</dd>
<dt>notice, overlap</dt><dd>{{ record.window.notice_days }} and {{ record.window.overlap_days }} days</dd></dl>
<h3>Approved runtime target</h3>
{{ facts(record.window.target) }}
<h3>Rollback target</h3>
{{ facts(record.window.rollback_target) }}
</section>
<section><h2>Ownership (Named Roles)</h2>
<ul>
{% for role in record.roles %}
<li>{{ role.title }} ({{ role.party }}):
{% if role.problem %}<span class="FAILED">NOT RESOLVED</span>, {{ role.problem }}
{% else %}{{ role.holder }}, {{ role.contact }}, key <code>{{ role.keyid }}</code>,
acknowledged {{ role.acknowledged_at | instant }}{% endif %}</li>
{% endfor %}
</ul></section>
<section><h2>Decision Inputs</h2>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">input</th><th scope="col">digest</th><th scope="col">signed by</th>
<th scope="col">at</th></tr></thead>
<tbody>
{% for line in record.inputs %}
<tr><th scope="row">{{ line.name }}</th><td><code>{{ line.digest }}</code></td>
<td>{{ line.by.name }} ({{ line.by.party }})</td><td>{{ line.by.at | instant }}</td></tr>
{% endfor %}
</tbody></table></div></section>
<section><h2>Stop Conditions (Immediate Abort / Rollback)</h2>
<ol>
{% for condition, text in conditions %}
<li>{{ text }} (<code>{{ condition }}</code>).</li>
{% endfor %}
</ol>
<ul>
{% for stop in record.stops %}
<li>Stopped {{ stop.observed_at | instant }} by {{ stop.by.name }} ({{ stop.by.party }}):
<code>{{ stop.condition }}</code>, {{ stop.reason }}</li>
{% else %}
<li>Nobody stopped anything.</li>
{% endfor %}
</ul>
<h3>Ways back, measured from the moment the stop was observed</h3>
{% if record.moves %}
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">move</th><th scope="col">why</th><th scope="col">decided</th><th scope="col">routed</th>
<th scope="col">first applied baseline answer</th><th scope="col">requests at risk</th>
<th scope="col">counts</th></tr></thead>
<tbody>
{% for move in record.moves %}
<tr><th scope="row">{{ move.operation }} {{ move.attempt }}, {{ move.observed_at | instant }}</th>
<td>{{ move.condition }}: {{ move.reason }}</td><td>{{ move.decided_ms | ms }}</td><td>{{ move.routed_ms | ms }}</td>
<td>{{ move.first_baseline_reply_ms | ms }}</td><td>{{ move.requests_at_risk }}</td>
<td>{% for name, count in move.counts.items() %}{{ name }} {{ count }}{{ ", " if not loop.last }}{% endfor %}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}
<p>None was taken.</p>
{% endif %}
</section>
<section><h2>Runtime Cutover Completion Evidence</h2>
<ol>
{% for line in record.completion %}
<li>{% if line.is_shown %}<span class="shown">shown</span>{% else %}<span class="NOT">not shown</span>{% endif %}:
{{ line.text }}: {{ line.fact }}</li>
{% endfor %}
</ol></section>
<section><h2>Status</h2>
<dl><dt>Phase {{ record.phase_name }} runtime cutover</dt><dd>{{ verdict(record.status) }} ({{ record.phase }})</dd>
<dt>Operational posture</dt><dd>{{ record.posture }}</dd>
{% for reason in record.why %}
<dt>why</dt><dd>{{ reason }}</dd>
{% endfor %}
</dl></section>
</main>
</body>
</html>
"""  # noqa: E501  # markup reads better unbroken
)
