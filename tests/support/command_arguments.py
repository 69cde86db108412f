"""Arguments with which each command that needs a role can be tried."""

from __future__ import annotations

from pathlib import Path

HASH = "ab" * 32
WEBHOOK = ["--webhook", "http://127.0.0.1:9/", "--webhook-state", "sent.json"]
"""A receiver that nobody is, for commands that are refused before they send anything."""
SECRET = str(Path(__file__).with_name("webhook.secret"))


ARGUMENTS = {
    "admin admins add": ["{other}"],
    "admin admins remove": ["{other}"],
    "admin operators add": ["{other}"],
    "admin operators hand-on": ["{other}"],
    "admin operators remove": ["{other}"],
    "admin admission set": ["Listed"],
    "admin admission add": ["{other}"],
    "admin admission remove": ["{other}"],
    "admin requests approve": ["{other}"],
    "admin requests decline": ["{other}", "--reason", "because"],
    "admin releases register": [],
    "admin releases revoke": [HASH],
    "admin limits": ["--per-hour", "5"],
    "admin quotas": ["--person-memories", "5"],
    "admin capsules": ["--no-new"],
    "admin canisters": ["--freezing-threshold", "60d"],
    "admin abort": ["{other}", "--yes"],
    "admin clear": ["{other}", "--yes"],
    "admin pay-rest": ["{other}", "--yes"],
    "admin ack": ["0"],
    "alerts": [*WEBHOOK, "--webhook-secret", SECRET],
    "reserve top-up": ["1T"],
    "reserve settings": ["--threshold", "1T"],
    "plan": ["{other}"],
    "run": ["{other}"],
    "status": ["{other}"],
    "verify": ["{other}"],
    "worker": ["--once"],
}
