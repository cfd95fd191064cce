//! The peers: SQLite through rusqlite, DoltLite through SQLite's C interface in its own library, or by its shell.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use libloading::Library;

use crate::data;

const COLUMNS: &str = "id INTEGER PRIMARY KEY, title TEXT, author TEXT, status TEXT, views INTEGER, \
                       price TEXT, created TEXT, body TEXT";

/// An SQLite database with the table, in WAL mode with `synchronous = FULL`.
pub fn sqlite(path: &Path, rows: u64) -> rusqlite::Connection {
    let mut connection = rusqlite::Connection::open(path).expect("SQLite opens");
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t ({COLUMNS});"
        ))
        .expect("SQLite makes a table");
    let transaction = connection.transaction().expect("SQLite begins");
    {
        let sql = "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let mut insert = transaction.prepare(sql).expect("SQLite prepares");
        for id in 0..rows {
            let row = data::row(id);
            let cells: Vec<&str> = row.split(',').collect();
            insert.execute(rusqlite::params_from_iter(cells)).expect("SQLite inserts");
        }
    }
    transaction.commit().expect("SQLite commits");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("SQLite checkpoints");
    connection
}

type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Exec = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    Option<unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_char, *mut *mut c_char) -> c_int>,
    *mut c_void,
    *mut *mut c_char,
) -> c_int;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

/// A DoltLite database.
pub struct DoltLite {
    library: Library,
    connection: *mut c_void,
}

impl DoltLite {
    /// Opens a database, if `DOLTLITE_LIB` names the library.
    pub fn open(path: &Path) -> Option<Self> {
        let name = std::env::var_os("DOLTLITE_LIB")?;
        let path = CString::new(path.to_str()?).ok()?;
        let mut connection = std::ptr::null_mut();
        // SAFETY: the library is DoltLite's, which has SQLite's C interface: `sqlite3_open` takes a path
        // and a place for the handle, both of which live through the call.
        let library = unsafe {
            let library = Library::new(name).ok()?;
            let open: libloading::Symbol<'_, Open> = library.get(b"sqlite3_open\0").ok()?;
            if open(path.as_ptr(), &mut connection) != 0 {
                return None;
            }
            library
        };
        Some(Self { library, connection })
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        let sql = CString::new(sql).expect("no zero in the statement");
        let mut message = std::ptr::null_mut();
        // SAFETY: `sqlite3_exec` with an open handle, a statement that ends with a zero, no callback, and a
        // place for a message, which SQLite allocates and which is only read here.
        let code = unsafe {
            let exec: libloading::Symbol<'_, Exec> =
                self.library.get(b"sqlite3_exec\0").expect("SQLite's interface");
            exec(self.connection, sql.as_ptr(), None, std::ptr::null_mut(), &mut message)
        };
        if code != 0 {
            // SAFETY: after an error the message is a string of SQLite's, or null.
            let text = if message.is_null() { c"?" } else { unsafe { CStr::from_ptr(message) } };
            panic!("DoltLite: {text:?}");
        }
    }

    /// Makes and fills the table, and commits.
    pub fn fill(&self, rows: u64) {
        self.run(&format!("CREATE TABLE t ({COLUMNS}); BEGIN"));
        for start in (0..rows).step_by(200) {
            let values: Vec<String> = (start..rows.min(start + 200))
                .map(|id| {
                    let row = data::row(id);
                    let cells: Vec<String> =
                        row.split(',').map(|cell| format!("'{cell}'")).collect();
                    format!("({})", cells.join(","))
                })
                .collect();
            self.run(&format!("INSERT INTO t VALUES {}", values.join(",")));
        }
        self.run("COMMIT; SELECT dolt_commit('-Am', 'import')");
    }
}

impl Drop for DoltLite {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used after this.
        unsafe {
            if let Ok(close) = self.library.get::<Close>(b"sqlite3_close\0") {
                close(self.connection);
            }
        }
    }
}

/// How many microseconds a query takes in DoltLite's shell, which `DOLTLITE_SHELL` names: the median of five. The table is read
/// from a file first, and committed.
pub fn in_doltlite_shell(folder: &Path, csv: &Path, sql: &str) -> Option<f64> {
    let shell = std::env::var_os("DOLTLITE_SHELL")?;
    let script = format!(
        "CREATE TABLE t ({COLUMNS});\n.mode csv\n.import --skip 1 {} t\n\
         SELECT dolt_commit('-Am', 'import');\n.timer on\n{}",
        csv.display(),
        format!("{sql};\n").repeat(5)
    );
    let file = folder.join("script.sql");
    std::fs::write(&file, script).expect("a file");
    let script = std::fs::File::open(&file).expect("a file");
    let mut shell = std::process::Command::new(shell);
    let output = shell.arg(folder.join("shell.db")).stdin(script).output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let seconds =
        |line: &str| line.strip_prefix("Run Time: real ")?.split(' ').next()?.parse().ok();
    let mut times: Vec<f64> = told.lines().filter_map(seconds).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).map(|seconds| seconds * 1e6)
}

/// Whether a command runs.
pub fn has(command: &str, args: &[&str]) -> bool {
    let run = std::process::Command::new(command).args(args).output();
    run.is_ok_and(|output| output.status.success())
}
