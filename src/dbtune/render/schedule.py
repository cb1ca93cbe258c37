"""A schedule as a crontab, as units of systemd, as CronJobs of Kubernetes, and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dbtune.core.reports import envelope
from dbtune.core.schedule import Job, Schedule, late, quoted
from dbtune.core.units import format_duration
from dbtune.render.document import to_json
from dbtune.render.text import one_line

FAILED = "dbtune-failed@.service"


def crontab(schedule: Schedule) -> str:
    """Lines for `crontab`; with a file of variables each line reads it."""
    lines = [f"# dbtune: the warm-ups of {_words(schedule.playbook)}. Cron mails what goes wrong to MAILTO."]
    if schedule.environment is None:
        lines.append(
            "# It needs DATABASE_URL and REDIS_URL: set them here, or give --env-file to read them from a file."
        )
    for job in schedule.jobs:
        lines += ["", f"# {_words(_tasks(job))}", *_remarks(job, "#"), cron_line(schedule, job)]
    return "\n".join(lines) + "\n"


def cron_line(schedule: Schedule, job: Job) -> str:
    """Five fields and a command for /bin/sh, in which cron would take a bare % for a line break."""
    command = quoted(schedule.command(job))
    if schedule.environment is not None:
        command = f"set -a && . {quoted([schedule.environment])} && exec {command}"
    return f"{job.cron} {command}".replace("%", "\\%")


def units(schedule: Schedule) -> Mapping[str, str]:
    """The files of systemd by their names: a service and a timer for each job, and what is told of failures."""
    files: dict[str, str] = {}
    for job in schedule.jobs:
        files[f"{job.name}.service"] = _service(schedule, job)
        files[f"{job.name}.timer"] = _timer(schedule, job)
    files[FAILED] = _unit(
        "Unit", {"Description": "Say that %i failed"}, "Service",
        {"Type": "oneshot", "ExecStart": "/bin/sh -c 'echo \"%i failed: see journalctl -u %i\" >&2'",
         "StandardError": "journal+console", "SyslogIdentifier": "dbtune", "SyslogLevel": "err"},
    )  # fmt: skip
    return files


def systemd(schedule: Schedule) -> str:
    """All files in one text, each under its name; `--output DIRECTORY` writes them apart."""
    parts = [f"# /etc/systemd/system/{name}\n{text}" for name, text in units(schedule).items()]
    timers = " ".join(f"{job.name}.timer" for job in schedule.jobs)
    return "\n".join(parts) + f"\n# systemctl daemon-reload && systemctl enable --now {timers}\n"


def cronjobs(schedule: Schedule) -> str:
    """A stream of YAML documents, for `kubectl apply -f -`."""
    import yaml

    documents = [_cronjob(schedule, job) for job in schedule.jobs]
    name = _slug(schedule)
    head = (
        f"# The playbook comes from a ConfigMap, DATABASE_URL and REDIS_URL from a Secret, both named {name}:\n"
        f"#   kubectl create configmap {name} --from-file=playbook.yml={one_line(schedule.path)}\n"
        f"#   kubectl create secret generic {name} --from-literal=DATABASE_URL=... --from-literal=REDIS_URL=...\n"
    )
    return head + yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, explicit_start=True, width=1000)


def json_document(schedule: Schedule) -> str:
    """`dbtune.schedule/1`."""
    return to_json(
        envelope("dbtune.schedule/1", schedule.path, schedule.started_at, schedule.duration_s)
        | {
            "playbook": schedule.playbook,
            "jobs": [
                {
                    "name": job.name,
                    "every_s": job.every_s,
                    "steps": [task.id for task in job.tasks],
                    "command": list(schedule.command(job)),
                    "crontab": cron_line(schedule, job),
                    "on_calendar": job.calendar,
                    "late_s": late(job),
                }
                for job in schedule.jobs
            ],
            "units": dict(units(schedule)),
            "cronjobs": [_cronjob(schedule, job) for job in schedule.jobs],
        }
    )


def _service(schedule: Schedule, job: Job) -> str:
    environment = {"EnvironmentFile": _escaped(schedule.environment)} if schedule.environment else {}
    return _unit(
        "Unit",
        {
            "Description": f"dbtune: {_escaped(_words(_tasks(job)))}",
            "Wants": "network-online.target",
            "After": "network-online.target",
            "OnFailure": FAILED.replace("@", "@%n"),
        },
        "Service",
        {
            "Type": "oneshot",
            **environment,
            "ExecStart": " ".join(_word(word) for word in schedule.command(job)),
            # A run that hangs must not keep the next one from starting for ever.
            "TimeoutStartSec": f"{max(60, round(job.every_s))}",
            "StateDirectory": "dbtune",
            "Environment": "XDG_STATE_HOME=%S/dbtune",
            "NoNewPrivileges": "yes",
            "ProtectSystem": "full",
            "ProtectHome": "read-only",
            "PrivateTmp": "yes",
            "Nice": "5",
        },
    )


def _timer(schedule: Schedule, job: Job) -> str:
    return _unit(
        "Unit",
        {"Description": f"dbtune: every {job.label}, {_escaped(_words(schedule.playbook))}"},
        "Timer",
        {
            "OnCalendar": job.calendar,
            "RandomizedDelaySec": f"{job.delay_s}",
            "AccuracySec": "1s",
            "Persistent": "true",
            "Unit": f"{job.name}.service",
        },
        "Install",
        {"WantedBy": "timers.target"},
    )


def _cronjob(schedule: Schedule, job: Job) -> dict[str, Any]:
    name = _slug(schedule)
    command = schedule.command(job)
    container = {
        "name": "warm",
        "image": schedule.image,
        "command": ["dbtune"],
        "args": ["warm", "/playbook/playbook.yml", *command[3:]],
        "envFrom": [{"secretRef": {"name": name}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "playbook", "mountPath": "/playbook", "readOnly": True}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "playbook", "configMap": {"name": name}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": job.name, "labels": {"app.kubernetes.io/name": "dbtune"}},
        "spec": {
            "schedule": job.cron,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": max(60, job.tick_s // 2),
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,
                    "activeDeadlineSeconds": max(60, round(job.every_s)),
                    "template": {"spec": pod},
                }
            },
        },
    }


def _unit(*parts: str | Mapping[str, str]) -> str:
    lines: list[str] = []
    for part in parts:
        if isinstance(part, str):
            lines += ["", f"[{part}]"] if lines else [f"[{part}]"]
        else:
            lines += [f"{key}={value}" for key, value in part.items()]
    return "\n".join(lines) + "\n"


def _word(word: str) -> str:
    """A word of ExecStart: quoted where it must be, specifiers and variables taken literally."""
    escaped = _escaped(word).replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_./:=@%$-]+", escaped):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _tasks(job: Job) -> str:
    names = "; ".join(task.name for task in job.tasks)
    return f"every {job.label}: {names}"


def _remarks(job: Job, mark: str) -> list[str]:
    if late(job):
        return [f"{mark} {format_duration(late(job))} later than wanted: no clock of cron is so fine"]
    return []


def _words(text: str) -> str:
    return one_line(text)


def _slug(schedule: Schedule) -> str:
    return schedule.jobs[0].name.rpartition("-")[0]
