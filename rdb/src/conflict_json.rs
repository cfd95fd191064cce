//! A conflict as JSON.

use reedbase::Conflict;
use serde_json::{Value, json};

/// What a conflict is about and what its sides say.
pub(crate) fn conflict_json(conflict: &Conflict) -> Value {
    json!({
        "id": conflict.id(),
        "table": conflict.table.as_str(),
        "kind": conflict.kind.to_string(),
        "key": conflict.key,
        "column": conflict.column,
        "base": conflict.base,
        "ours": conflict.ours,
        "theirs": conflict.theirs,
    })
}
