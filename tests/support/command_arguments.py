"""Arguments with which each command that needs a role can be tried."""

from __future__ import annotations

HASH = "ab" * 32


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
    "admin ack": ["0"],
    "reserve top-up": ["1T"],
    "reserve settings": ["--threshold", "1T"],
    "run": ["{other}"],
    "status": ["{other}"],
    "verify": ["{other}"],
    "worker": ["--once"],
}
