//! What SQLite is going to do, in words.

use rusqlite::{Connection, Result};

use crate::way::Way;

/// The steps of a statement, those inside of others indented.
pub(crate) fn steps(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = explain.raw_query();
    let (mut depths, mut lines) = (vec![(0_i64, 0_usize)], Vec::new());
    while let Some(row) = rows.next()? {
        let (id, parent, detail): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let above =
            depths.iter().find(|(known, _)| *known == parent).map_or(0, |(_, depth)| *depth);
        depths.push((id, above + 1));
        lines.push(format!("{:indent$}{}", "", in_words(&detail), indent = 2 * (above + 1)));
    }
    Ok(lines)
}

/// A step as people say it; what there are no words for stays as SQLite says it.
fn in_words(detail: &str) -> String {
    if let Some((table, way)) = detail.split_once(" VIRTUAL TABLE INDEX ") {
        let table = table.trim_start_matches("SCAN ").trim_start_matches("SEARCH ");
        return match way.split_once(':') {
            Some(("0", _)) => format!("pass by all rows of {table}"),
            Some(("1", _)) => format!("find the row of {table} by its key"),
            other => match other.and_then(|(_, text)| Way::parse(text)) {
                Some(way) => way.in_words(table),
                None => format!("{table}: {way}"),
            },
        };
    }
    if let Some(what) = detail.strip_prefix("USE TEMP B-TREE FOR ") {
        return match what {
            "ORDER BY" => "sort".to_owned(),
            "GROUP BY" => "gather groups".to_owned(),
            what => format!("sort for {what}"),
        };
    }
    if let Some(table) = detail.strip_prefix("SCAN ") {
        return match table.split_once(" USING ") {
            Some((table, index)) => {
                format!("pass by all rows of {table}, in the order of {}", index.to_lowercase())
            }
            None => format!("pass by all rows of {table}"),
        };
    }
    if let Some((table, way)) =
        detail.strip_prefix("SEARCH ").and_then(|rest| rest.split_once(" USING "))
    {
        return match way.strip_prefix("INTEGER PRIMARY KEY") {
            Some(condition) => format!("find the row of {table} by its key{condition}"),
            None => {
                format!("find rows of {table} by {}", way.replacen("AUTOMATIC", "an automatic", 1))
            }
        };
    }
    detail.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_in_words() {
        for (detail, words) in [
            ("SCAN u VIRTUAL TABLE INDEX 0:", "pass by all rows of u"),
            ("SCAN u VIRTUAL TABLE INDEX 1:", "find the row of u by its key"),
            (
                "SCAN u VIRTUAL TABLE INDEX 2:=+ by_age",
                "find rows of u by the index by_age (=), in order",
            ),
            ("SCAN u", "pass by all rows of u"),
            ("USE TEMP B-TREE FOR ORDER BY", "sort"),
            (
                "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)",
                "find the row of u by its key (rowid=?)",
            ),
        ] {
            assert_eq!(in_words(detail), words);
        }
    }
}
