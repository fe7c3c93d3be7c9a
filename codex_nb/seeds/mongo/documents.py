"""How a seed looks in MongoDB, and the expressions with which the server decides.

    {_id, name, pool, kind, account, fingerprint, status, reason, claims, details, usable_until,
     created_at, updated_at, verified_at, leased_at, fence,
     lease: null | {id, holder, fence, expires_at},
     intent: null | {attempt, fence, parent, host, at},
     blob: {version, data | file}, previous: null | {version, data | file}, made_by, seen_at}

Rules of this file:

* Every time but `usable_until` and `intent.at` is written by the server, as Unix seconds; no clock
  of a client enters a decision.
* `claims` is true while the seed is alive or suspect. A partial index can ask for it in every
  version of the server, but for two values of a status only from 6.0 on.
* `details` is JSON text, because its keys and numbers may be such that BSON does not take. What the
  server has to compare of it, the end of the access token, is in `usable_until` as well.
* `seen_at` is the server's time of the last write, so that an answer tells how much of a lease is
  left.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from codex_nb.seeds.records import Intent, Lease, Seed, Status

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Blob

Document: TypeAlias = "dict[str, Any]"
"""What pymongo gives and takes."""

NOW: Document = {"$divide": [{"$toLong": "$$NOW"}, 1000.0]}
"""The server's clock, in Unix seconds."""

IS_HELD: Document = {"$gt": [{"$ifNull": ["$lease.expires_at", 0]}, NOW]}
"""Whether somebody has the seed now."""

IS_FREE: Document = {"$not": [IS_HELD]}

IS_USABLE: Document = {
    "$or": [
        {"$eq": [{"$ifNull": ["$intent", None]}, None]},
        {"$gt": ["$usable_until", {"$add": [NOW, 300]}]},
    ]
}
"""Whether a seed of a pool may be given for use: nobody may be refreshing it, or it need not be."""

CONFIRMED: tuple[Document, ...] = ({"$set": {"seen_at": NOW}},)
"""The update that changes nothing, so that what is found by it is known to be kept."""

WITHOUT_BLOBS: Document = {"blob.data": 0, "previous.data": 0}

_CLAIMING = (Status.ALIVE, Status.SUSPECT)


def literal(value: object) -> Document:
    """A value in an expression, whatever it looks like: text with a "$" is a path there."""
    return {"$literal": value}


def literals(fields: Document) -> Document:
    """The same for each of some fields."""
    return {name: literal(value) for name, value in fields.items()}


def status_fields(status: Status, reason: str) -> Document:
    """The fields that a status decides."""
    return {"status": status.value, "reason": reason, "claims": status in _CLAIMING}


def details_fields(details: JsonObject) -> Document:
    """The fields that the details decide."""
    end = details.get("expires_at")
    is_time = isinstance(end, int | float) and not isinstance(end, bool)
    return {
        "details": json.dumps(details, sort_keys=True),
        "usable_until": float(end) if is_time else 0.0,  # type: ignore[arg-type]  # it is a number
    }


def merged(old: str, new: JsonObject) -> JsonObject:
    """Stored details with others over them; a null value removes its key."""
    both = json.loads(old) | new
    return {name: value for name, value in both.items() if value is not None}


def new_seed(seed: Seed, blob: Document, *, fence: int, maker: str) -> list[Document]:
    """The update that makes a seed.

    Args:
        seed: As it is to be; its times, lease and intent do not count.
        blob: As `blob` looks in a document.
        fence: The last one that was given for a seed with this id.
        maker: Random, to tell this making from another.
    """
    given: Document = {
        "name": seed.name,
        "pool": seed.pool,
        "kind": seed.kind,
        "account": seed.account,
        "fingerprint": seed.fingerprint,
        **status_fields(seed.status, seed.reason),
        **details_fields(seed.details),
        "verified_at": None,
        "leased_at": None,
        "fence": fence,
        "lease": None,
        "intent": None,
        "blob": blob,
        "previous": None,
        "made_by": maker,
    }
    times = {"created_at": NOW, "updated_at": NOW, "seen_at": NOW}
    made = {"$mergeObjects": ["$$ROOT", {**literals(given), **times}]}
    # A seed that is there, perhaps by an earlier try of this very update, stays as it is.
    is_there = {"$gt": ["$made_by", None]}
    return [{"$replaceWith": {"$cond": [is_there, "$$ROOT", made]}}]


def new_lease(lease_id: str, holder: str, ttl: float) -> list[Document]:
    """The update that leases a seed for some seconds."""
    fence = {"$add": ["$fence", 1]}
    lease = {
        "id": literal(lease_id),
        "holder": literal(holder),
        "fence": fence,
        "expires_at": {"$add": [NOW, ttl]},
    }
    return [{"$set": {"lease": lease, "fence": fence, "leased_at": NOW, "seen_at": NOW}}]


def new_login(
    *,
    blob: Document,
    fingerprint: str,
    details: JsonObject,
    status: Status,
    reason: str,
    verified: bool,
) -> list[Document]:
    """The update that puts the next login in place of the stored one."""
    given: Document = {
        "blob": blob,
        "fingerprint": fingerprint,
        **status_fields(status, reason),
        **details_fields(details),
        "intent": None,
    }
    times = {"updated_at": NOW, "seen_at": NOW} | ({"verified_at": NOW} if verified else {})
    return [{"$set": {**literals(given), "previous": "$blob", **times}}]


def follows(document: Document, parent: str, blob: Blob) -> bool:
    """Whether a login is the next after the stored one."""
    # The version tells a refresh that left the refresh token as it was from its repetition.
    stored = document["blob"]["version"]
    return bool(document["fingerprint"] == parent and stored + 1 == blob.version)


def to_seed(document: Document) -> Seed:
    """The seed in a document that has `seen_at` of now."""
    lease = to_lease(document)
    return Seed(
        id=document["_id"],
        name=document["name"],
        pool=document["pool"],
        kind=document["kind"],
        account=document["account"],
        fingerprint=document["fingerprint"],
        version=document["blob"]["version"],
        status=Status(document["status"]),
        reason=document["reason"],
        details=json.loads(document["details"]),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        verified_at=document["verified_at"],
        leased_at=document["leased_at"],
        lease=lease if lease is not None and lease.left > 0 else None,
        intent=Intent(**document["intent"]) if document["intent"] else None,
    )


def to_lease(document: Document) -> Lease | None:
    """The last lease of a seed, which may be over."""
    lease = document["lease"]
    if lease is None:
        return None
    left = lease["expires_at"] - document["seen_at"]
    return Lease(seed=document["_id"], left=left, **lease)


__all__ = [
    "CONFIRMED",
    "IS_FREE",
    "IS_HELD",
    "IS_USABLE",
    "NOW",
    "WITHOUT_BLOBS",
    "Document",
    "details_fields",
    "follows",
    "literal",
    "literals",
    "merged",
    "new_lease",
    "new_login",
    "new_seed",
    "status_fields",
    "to_lease",
    "to_seed",
]
