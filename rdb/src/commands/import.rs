//! `rdb import`

use std::io::Read;
use std::path::{Path, PathBuf};

use reedbase::{Error, Import, NewTable, Result, TableName};
use serde_json::json;

use super::committed;
use crate::args::{Global, Message};
use crate::locate;
use crate::output::{Output, counted};

/// Make a table of a CSV file, or replace its content
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file's bytes become the table's. Delimiter and key are guessed, and shown.\n\n\
    Examples:\n  rdb import pages.csv\n  rdb import orders.csv --key shop,number\n  \
    rdb import pages.csv --replace -m \"weekly export\"\n  curl … | rdb import - --table pages"
)]
pub(crate) struct ImportFile {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The name of the table [default: that of the file]
    #[arg(short, long)]
    table: Option<String>,
    /// The columns of the key, with commas between [default: a guess]
    #[arg(short, long, value_delimiter = ',', value_name = "COLUMN")]
    key: Vec<String>,
    /// Add a column of numbers as the key
    #[arg(long, value_name = "COLUMN", num_args = 0..=1, default_missing_value = "id", require_equals = true, conflicts_with_all = ["key", "replace"])]
    add_key: Option<String>,
    /// The character between cells, or `tab` [default: a guess]
    #[arg(short, long, value_parser = parse_delimiter)]
    delimiter: Option<u8>,
    /// Write the table anew with `|` between cells
    #[arg(long)]
    pipe: bool,
    /// Replace the content of a table: only what differs becomes part of the frame
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    message: Message,
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ if matches!(text, "tab" | "\\t") => Ok(b'\t'),
        _ => Err("one ASCII character, or `tab`".to_owned()),
    }
}

impl ImportFile {
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<()> {
        let database = locate::open_for("importing", global, output)?;
        let name = self.table_name()?;
        let bytes = read_file(&self.file)?;
        let size = bytes.len();
        let mut import = Import::default();
        import.key.clone_from(&self.key);
        import.add_key.clone_from(&self.add_key);
        import.delimiter = self.delimiter;
        import.pipe = self.pipe;
        let mut transaction = database.begin()?;
        if let Some(message) = &self.message.message {
            transaction = transaction.named(message);
        }
        if self.replace && self.key.is_empty() {
            import.key = database.snapshot()?.key_columns(&name)?;
        }
        let table = import.read(bytes.into()).map_err(|error| error.at_path(&self.file))?;
        let made = if self.replace {
            transaction.replace_table(&name, &table)
        } else {
            transaction.create_table(&name, &table)
        };
        made.map_err(|error| error.at_path(&self.file))?;
        if !output.is_json() {
            self.show_guesses(&table, output)?;
        }
        let commit = transaction.commit()?;
        if output.is_json() {
            return output.json(&json!({
                "table": name,
                "rows": database.snapshot()?.table(&name)?.rows(),
                "bytes": size,
                "delimiter": char::from(table.schema.delimiter).to_string(),
                "key": key_names(&table),
                "frame": commit.frame.map(|frame| frame.id().to_string()),
            }));
        }
        let rows = database.snapshot()?.table(&name)?.rows();
        committed(&commit, &format!("imported {} into {name}", counted(rows, "row")), output)
    }

    fn table_name(&self) -> Result<String> {
        if let Some(table) = &self.table {
            return Ok(table.clone());
        }
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-");
        let stem =
            stem.ok_or_else(|| Error::usage("the table needs a name").help("add --table NAME"))?;
        let name: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' })
            .collect();
        TableName::new(&name).map(|name| name.as_str().to_owned())
    }

    fn show_guesses(&self, table: &NewTable, output: &mut Output) -> Result<()> {
        let mut guesses = Vec::new();
        if self.delimiter.is_none() && !self.pipe {
            let shown = match table.schema.delimiter {
                b'\t' => "tab".to_owned(),
                byte => format!("`{}`", char::from(byte)),
            };
            guesses.push((format!("delimiter {shown}"), "--delimiter"));
        }
        if self.key.is_empty() && self.add_key.is_none() && !self.replace {
            guesses.push((format!("key `{}`", key_names(table).join(",")), "--key"));
        }
        if guesses.is_empty() {
            return Ok(());
        }
        let verb = if guesses.len() > 1 { "overrule" } else { "overrules" };
        let (guesses, options): (Vec<_>, Vec<_>) = guesses.into_iter().unzip();
        output.line(&format!("guessed: {} ({} {verb})", guesses.join(", "), options.join(" and ")))
    }
}

fn key_names(table: &NewTable) -> Vec<String> {
    let columns = table.schema.columns.iter().filter(|column| column.primary_key);
    columns.map(|column| column.name.clone()).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    read.map_err(|source| Error::io("read the file", path, source))?;
    Ok(bytes)
}
