//! One of the two connections of a session, and the tables that it knows.
//!
//! Both know the same names. In the one all tables are virtual, and read straight from a snapshot; in the other some are
//! mirrors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::HashMap;
use reedbase_plugin_api::{Error, Function, Result, Schema, TableView};
use rusqlite::Connection;

use crate::connection::{self, Watch};
use crate::declare::quoted;
use crate::guard::engine_failed;
use crate::mirror::Mirror;
use crate::shared::Shared;
use crate::virtual_table::MODULE;

/// A connection, and the tables that it knows.
pub(crate) struct Side {
    pub(crate) connection: Connection,
    shared: Arc<Shared>,
    /// Whether SQLite runs a statement of ours.
    internal: Arc<AtomicBool>,
    declared: HashMap<String, Declared>,
}

/// A table that the connection knows.
enum Declared {
    Virtual(Arc<Schema>),
    Mirror(Mirror),
    /// A view, by the statement that made it.
    View(String),
}

impl Side {
    pub(crate) fn open(
        shared: &Arc<Shared>,
        watch: &Watch,
        functions: &[Function],
    ) -> Result<Self> {
        let internal = Arc::new(AtomicBool::new(false));
        let connection = connection::open(shared, functions).and_then(|mut connection| {
            connection::restrict(&mut connection, &internal)?;
            connection::watch(&mut connection, watch.clone())?;
            Ok(connection)
        });
        let connection = connection
            .map_err(|error| shared.take_failure().unwrap_or_else(|| engine_failed(error)))?;
        Ok(Self { connection, shared: Arc::clone(shared), internal, declared: HashMap::default() })
    }

    /// What the connection knows of the columns of a table.
    pub(crate) fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        match self.declared.get(name)? {
            Declared::Virtual(schema) => Some(schema),
            Declared::Mirror(mirror) => Some(&mirror.schema),
            Declared::View(_) => None,
        }
    }

    /// Sees to it that the connection knows a table as it is now, if only as a virtual one.
    pub(crate) fn declare(&mut self, name: &str, schema: &Arc<Schema>) -> Result<()> {
        if self.schema(name).is_some_and(|known| Arc::ptr_eq(known, schema)) {
            return Ok(());
        }
        self.forget(name)?;
        let quoted = quoted(name);
        self.own(|connection| {
            connection.execute_batch(&format!("CREATE VIRTUAL TABLE main.{quoted} USING {MODULE}"))
        })?;
        self.declared.insert(name.to_owned(), Declared::Virtual(Arc::clone(schema)));
        Ok(())
    }

    /// Sees to it that the connection knows a view, made by this statement.
    pub(crate) fn declare_view(&mut self, name: &str, sql: &str) -> Result<()> {
        if matches!(self.declared.get(name), Some(Declared::View(known)) if known == sql) {
            return Ok(());
        }
        self.forget(name)?;
        self.own(|connection| connection.execute_batch(sql))?;
        self.declared.insert(name.to_owned(), Declared::View(sql.to_owned()));
        Ok(())
    }

    /// Sees to it that a table is a mirror, in the state of a view.
    ///
    /// # Errors
    /// Those of [`Mirror::load`].
    pub(crate) fn mirror(&mut self, name: &str, view: &dyn TableView) -> Result<&mut Mirror> {
        if !self.advance(name, view)? {
            self.forget(name)?;
            let mirror = self.own_act(|connection| Mirror::load(connection, name, view));
            match mirror {
                Ok(mirror) => drop(self.declared.insert(name.to_owned(), Declared::Mirror(mirror))),
                Err(error) => {
                    self.own(|connection| connection.execute_batch(&drop_table(name)))?;
                    return Err(error);
                }
            }
        }
        match self.declared.get_mut(name) {
            Some(Declared::Mirror(mirror)) => Ok(mirror),
            _ => Err(Error::internal("a mirror that was loaded is gone")),
        }
    }

    /// Brings a mirror to the state of a view; `false` if there is none, or if it must be loaded again.
    fn advance(&mut self, name: &str, view: &dyn TableView) -> Result<bool> {
        let mut mirror = match self.declared.remove(name) {
            Some(Declared::Mirror(mirror)) => mirror,
            other => {
                self.declared.extend(other.map(|other| (name.to_owned(), other)));
                return Ok(false);
            }
        };
        let advanced = self.own_act(|connection| mirror.advance(connection, name, view));
        self.declared.insert(name.to_owned(), Declared::Mirror(mirror));
        advanced
    }

    /// Sees to it that what is written to a mirror is noted.
    pub(crate) fn watch(&mut self, name: &str, view: &dyn TableView) -> Result<()> {
        let mut declared = self.declared.remove(name);
        let watched = match &mut declared {
            Some(Declared::Mirror(mirror)) => {
                self.own_act(|connection| mirror.watch(connection, name))
            }
            _ => {
                Err(Error::internal("only a mirror can be watched").at_table(view.name().as_str()))
            }
        };
        self.declared.extend(declared.map(|declared| (name.to_owned(), declared)));
        watched
    }

    /// The mirrors, by the names of their tables.
    pub(crate) fn mirrors(&mut self) -> impl Iterator<Item = (&String, &mut Mirror)> {
        self.declared.iter_mut().filter_map(|(name, declared)| match declared {
            Declared::Mirror(mirror) => Some((name, mirror)),
            Declared::Virtual(_) | Declared::View(_) => None,
        })
    }

    /// Forgets all views, which may say something else now.
    pub(crate) fn forget_views(&mut self) -> Result<()> {
        let views = self.declared.iter().filter(|(_, known)| matches!(known, Declared::View(_)));
        let views: Vec<String> = views.map(|(name, _)| name.clone()).collect();
        views.iter().try_for_each(|name| self.forget(name))
    }

    /// Forgets all mirrors: a table that is made anew may look like one that is gone.
    pub(crate) fn forget_mirrors(&mut self) -> Result<()> {
        let mirrors: Vec<String> = self.mirrors().map(|(name, _)| name.clone()).collect();
        mirrors.iter().try_for_each(|name| self.forget(name))
    }

    /// Drops a table from what the connection knows.
    pub(crate) fn forget(&mut self, name: &str) -> Result<()> {
        match self.declared.remove(name) {
            None => Ok(()),
            Some(Declared::View(_)) => {
                let sql = format!("DROP VIEW IF EXISTS main.{}", quoted(name));
                self.own(|connection| connection.execute_batch(&sql))
            }
            Some(_) => self.own(|connection| connection.execute_batch(&drop_table(name))),
        }
    }

    /// Runs statements of our own.
    pub(crate) fn own<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.own_act(|connection| {
            let done = act(connection);
            done.map_err(|error| self.shared.take_failure().unwrap_or_else(|| engine_failed(error)))
        })
    }

    /// Does something that runs statements of our own.
    pub(crate) fn own_act<T>(&self, act: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.internal.store(true, Ordering::Relaxed);
        let done = act(&self.connection);
        self.internal.store(false, Ordering::Relaxed);
        done
    }

    /// The names of the functions there are.
    pub(crate) fn functions(&self) -> Vec<String> {
        let names = self.own(|connection| {
            let list = "SELECT DISTINCT name FROM pragma_function_list";
            connection.prepare(list)?.query_map([], |row| row.get(0))?.collect()
        });
        names.unwrap_or_default()
    }
}

fn drop_table(name: &str) -> String {
    format!("DROP TABLE IF EXISTS main.{}", quoted(name))
}
