//! What was found.

use std::path::PathBuf;

use reedbase_plugin_api::{Error, Result, TableName};

/// What was read, and what is wrong with it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many bytes were read.
    pub bytes: u64,
    /// How many tables there are.
    pub tables: u64,
    /// How many versions of tables.
    pub versions: u64,
    /// How many frames.
    pub frames: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub concern: Concern,
    /// What it is, where, and what to do.
    pub error: Error,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "data is lost, torn, changed by somebody, or made anew"
)]
pub enum Concern {
    /// Something that was written cannot be read any more, or two things that must agree do not.
    Damaged,
    /// A file ends with something that is not whole: a crash tore it while it was written, or it is damaged.
    Torn,
    /// Somebody changed a file outside ReedBase.
    Edited,
    /// A file that is made of others does not fit them. It may be deleted.
    Derived,
}

impl Report {
    /// Whether something is damaged.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.concern == Concern::Damaged)
    }

    pub(super) fn add(&mut self, concern: Concern, error: Error) {
        self.findings.push(Finding { concern, error });
    }

    /// Notes that a log ends with something that is no whole line.
    pub(super) fn note_torn(&mut self, path: PathBuf, torn: Result<bool>) {
        match torn {
            Ok(false) => {}
            Ok(true) => {
                let error = Error::corrupt("the log ends with something that is no whole line");
                self.add(
                    Concern::Torn,
                    error.at_path(path).help(
                        "an append that a crash tore, or damage: the next append takes its place",
                    ),
                );
            }
            Err(error) => self.add(Concern::Damaged, error),
        }
    }

    /// Notes what failed.
    pub(super) fn note(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.add(Concern::Damaged, error);
        }
    }

    /// The same, found in this table.
    pub(super) fn in_table(mut self, name: &TableName) -> Self {
        let placed = |finding: Finding| {
            let position = finding.error.position();
            match position.path.is_none() && position.table.is_none() {
                true => Finding { error: finding.error.at_table(name.as_str()), ..finding },
                false => finding,
            }
        };
        self.findings = self.findings.into_iter().map(placed).collect();
        self
    }

    /// Takes in what another found.
    pub(super) fn take(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.findings.extend(other.findings);
    }
}
