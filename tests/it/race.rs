//! Editors race with the database: between any two operations it asks of its storage, somebody may open the table's
//! file, write a part of it, or put another in its place. Whatever an editor saved, and whatever was committed, must be
//! somewhere in the end: in the table's file, in a version of its history, or in a file beside it. Only editors may
//! overwrite what editors saved.
//!
//! What an editor writes through a handle counts if at most one exchange of the file came since it opened it: the file
//! that an exchange displaced is looked at until the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use reedbase::clock::ManualClock;
use reedbase::storage::{Access, File, MemoryStorage, Storage};
use reedbase::{
    Adopt, Checkpoints, Database, Error, ErrorKind, Limits, OpenOptions, Result, Timestamp,
};

use crate::hooked::{Hook, Hooked, Operation};
use crate::random::Random;

const CURRENT: &str = "tables/t/current.csv";

/// What an editor saves: a whole file with a word in it that nobody else writes.
#[derive(Debug)]
struct Save {
    word: String,
    text: String,
    /// Whether all of it was written.
    whole: bool,
    /// Whether an editor wrote over it, or it was written through a handle that was too old.
    gone: bool,
}

/// What an editor is doing.
#[derive(Debug)]
enum Doing {
    Nothing,
    /// It opened the file a while ago.
    Reading {
        file: Arc<dyn File>,
        text: String,
        exchanges: usize,
    },
    /// It writes into the file it opened: so far so many bytes.
    InPlace {
        file: Arc<dyn File>,
        exchanges: usize,
        save: usize,
        written: Option<usize>,
    },
    /// It writes another file, to give that the name in the end.
    Aside {
        save: usize,
        written: usize,
    },
}

#[derive(Debug)]
struct Editors {
    random: Random,
    doing: [Doing; 2],
    saves: Vec<Save>,
    /// How often the table's file was exchanged.
    exchanges: usize,
    /// The files that an editor put another in the place of: what is written into them is nowhere.
    replaced: BTreeSet<u64>,
    /// What happened to files, for whoever reads a failure.
    trace: Vec<String>,
}

fn read(file: &dyn File) -> String {
    let mut bytes = vec![0; file.stat().unwrap().len as usize];
    let read = file.read_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

impl Editors {
    /// Perhaps somebody does something.
    fn perhaps(&mut self, disk: &MemoryStorage) {
        if self.random.below(10) == 0 {
            let who = self.random.below(2) as usize;
            self.step(who, disk);
        }
    }

    fn step(&mut self, who: usize, disk: &MemoryStorage) {
        self.doing[who] = match std::mem::replace(&mut self.doing[who], Doing::Nothing) {
            Doing::Nothing => self.begin(disk),
            Doing::Reading { file, text, exchanges } => match self.random.below(3) {
                0 => Doing::Reading { file, text, exchanges },
                _ => match self.edited(&text) {
                    Some(save) => Doing::InPlace { file, exchanges, save, written: None },
                    None => Doing::Nothing,
                },
            },
            Doing::InPlace { file, exchanges, save, written } => {
                self.write(&file, exchanges, save, written)
            }
            Doing::Aside { save, written } => self.write_aside(who, save, written, disk),
        };
    }

    fn begin(&mut self, disk: &MemoryStorage) -> Doing {
        let Some(file) = disk.open(CURRENT, Access::Write).unwrap() else { return Doing::Nothing };
        let text = read(&*file);
        if self.random.below(2) == 0 {
            return Doing::Reading { file, text, exchanges: self.exchanges };
        }
        match self.edited(&text) {
            Some(save) => Doing::Aside { save, written: 0 },
            None => Doing::Nothing,
        }
    }

    /// What an editor makes of a text, if that is a whole table.
    fn edited(&mut self, text: &str) -> Option<usize> {
        let body = text.strip_prefix("id,x\n").filter(|body| body.ends_with('\n'))?;
        let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
        lines.iter().all(|line| line.matches(',').count() == 1).then_some(())?;
        let word = format!("E{}.", self.saves.len());
        let at = self.random.below(lines.len() as u64 + 2) as usize;
        match lines.get_mut(at) {
            Some(line) => *line = format!("{},{word}", line.split(',').next().unwrap()),
            None => lines.push(format!("e{},{word}", self.saves.len())),
        }
        let text = format!("id,x\n{}\n", lines.join("\n"));
        self.saves.push(Save { word, text, whole: false, gone: false });
        Some(self.saves.len() - 1)
    }

    /// What stands in a file is about to be written over by an editor.
    fn overwrites(&mut self, file: &dyn File, by: usize) {
        let (text, inode) = (read(file), file.stat().unwrap().inode);
        let in_place: Vec<usize> = self
            .doing
            .iter()
            .filter_map(|doing| match doing {
                Doing::InPlace { file, save, .. } if file.stat().unwrap().inode == inode => {
                    Some(*save)
                }
                _ => None,
            })
            .collect();
        for (number, save) in self.saves.iter_mut().enumerate().filter(|(number, _)| *number != by)
        {
            save.gone |= save.text == text || in_place.contains(&number);
        }
        let word = &self.saves[by].word;
        self.trace.push(format!("  {word} over file {inode}: {text:?}"));
        // Two who write into one file at once spoil it for each other.
        self.saves[by].gone |= !in_place.is_empty();
    }

    /// Writes the next part through an open handle.
    fn write(
        &mut self,
        file: &Arc<dyn File>,
        exchanges: usize,
        save: usize,
        written: Option<usize>,
    ) -> Doing {
        let file = Arc::clone(file);
        self.overwrites(&*file, save);
        self.saves[save].gone |= self.replaced.contains(&file.stat().unwrap().inode);
        let Some(start) = written else {
            self.saves[save].gone |= self.exchanges > exchanges + 1;
            file.set_len(0).unwrap();
            return Doing::InPlace { file, exchanges, save, written: Some(0) };
        };
        let end = self.part(save, start);
        file.write_at(&self.saves[save].text.as_bytes()[start..end], start as u64).unwrap();
        if self.finished(save, end) {
            return Doing::Nothing;
        }
        Doing::InPlace { file, exchanges, save, written: Some(end) }
    }

    fn write_aside(
        &mut self,
        who: usize,
        save: usize,
        start: usize,
        disk: &MemoryStorage,
    ) -> Doing {
        let other = format!("tables/t/current.csv~{who}");
        let disk: &dyn Storage = disk;
        let end = self.part(save, start);
        let text = self.saves[save].text[..end].to_owned();
        disk.create(&other).unwrap().write_at(text.as_bytes(), 0).unwrap();
        if end < self.saves[save].text.len() {
            return Doing::Aside { save, written: end };
        }
        if let Some(file) = disk.open(CURRENT, Access::Read).unwrap() {
            self.overwrites(&*file, save);
            self.saves[save].gone = false;
            self.replaced.insert(file.stat().unwrap().inode);
        }
        disk.rename(&other, CURRENT).unwrap();
        self.finished(save, end);
        Doing::Nothing
    }

    fn part(&mut self, save: usize, start: usize) -> usize {
        let len = self.saves[save].text.len();
        (start + 1 + self.random.below(len as u64) as usize).min(len)
    }

    fn finished(&mut self, save: usize, end: usize) -> bool {
        self.saves[save].whole = end == self.saves[save].text.len();
        self.saves[save].whole
    }

    /// Whoever is saving comes to an end.
    fn finish(&mut self, disk: &MemoryStorage) {
        for who in 0..self.doing.len() {
            while !matches!(self.doing[who], Doing::Nothing | Doing::Reading { .. }) {
                self.step(who, disk);
            }
            self.doing[who] = Doing::Nothing;
        }
    }
}

impl Hook for Mutex<Editors> {
    fn before(&self, operation: Operation<'_>, disk: &MemoryStorage) {
        let mut editors = self.lock().unwrap();
        editors.perhaps(disk);
        editors.exchanges += usize::from(matches!(
            operation,
            Operation::Exchange { .. } | Operation::Rename { to: CURRENT, .. }
        ));
        if !matches!(operation, Operation::Other) {
            editors.trace.push(operation.to_string());
        }
    }
}

/// One run: a few commits, checkpoints, adoptions and discards, while two editors work.
struct Run {
    storage: Arc<Hooked<Mutex<Editors>>>,
    databases: Vec<Database>,
    /// The words that were committed.
    committed: Vec<String>,
    random: Random,
}

impl Run {
    fn new(seed: u64) -> Self {
        let doing = [Doing::Nothing, Doing::Nothing];
        let editors = Editors {
            random: Random(!seed),
            doing,
            saves: Vec::new(),
            exchanges: 0,
            replaced: BTreeSet::new(),
            trace: Vec::new(),
        };
        let storage = Arc::new(Hooked::new(Mutex::new(editors)));
        let (databases, committed) = (Vec::new(), Vec::new());
        let mut run = Self { storage, databases, committed, random: Random(seed) };
        run.databases = vec![run.open(), run.open()];
        let mut transaction = run.databases[0].begin().unwrap();
        let text = "id,x\n1,a\n2,b\n3,c\n4,d\n";
        transaction.create_table("t", &reedbase::csv(text, &["id"]).unwrap()).unwrap();
        transaction.commit().unwrap();
        run.databases[0].checkpoint(&[]).unwrap();
        run
    }

    fn open(&self) -> Database {
        let limits =
            if self.committed.len().is_multiple_of(2) { Limits::tiny() } else { Limits::default() };
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000));
        let options = OpenOptions::new().create(true).clock(Arc::new(clock)).limits(limits);
        options.storage(self.storage.clone()).checkpoints(Checkpoints::Inline).open("").unwrap()
    }

    fn step(&mut self) {
        let database = self.databases[self.random.below(2) as usize].clone();
        let done = match self.random.below(12) {
            0..5 => self.commit(&database),
            5..8 => database.checkpoint(&[]).map(|report| format!("checkpoint {report:?}")),
            8 | 9 => self.adopt(&database),
            10 => database.discard(&["t"]).map(|report| format!("discard {report:?}")),
            _ => {
                let at = self.random.below(2) as usize;
                self.databases[at] = self.open();
                Ok("open".to_owned())
            }
        };
        let may_fail = |error: &Error| {
            use ErrorKind::{AlreadyExists, Busy, Conflict, InvalidInput, NotFound, OutsideEdit};
            [AlreadyExists, Busy, Conflict, InvalidInput, NotFound, OutsideEdit]
                .contains(&error.kind())
        };
        match done {
            Ok(done) => self.log(done),
            Err(error) if may_fail(&error) => self.log(format!("refused: {error}")),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn log(&self, done: String) {
        self.storage.hook.lock().unwrap().trace.push(done);
    }

    fn commit(&mut self, database: &Database) -> Result<String> {
        let word = format!("C{}.", self.committed.len());
        let mut transaction = database.begin()?;
        let key = (1 + self.random.below(6)).to_string();
        match transaction.get("t", &key)? {
            Some(_) => transaction.update("t", &key, [("x", word.as_str())])?,
            None => transaction.insert("t", [("id", key.as_str()), ("x", word.as_str())])?,
        }
        transaction.commit()?;
        let found = database.snapshot()?.get("t", &key)?.unwrap();
        assert_eq!(found.get("x").as_deref(), Some(word.as_str()));
        self.committed.push(word.clone());
        Ok(format!("commit {key} {word}"))
    }

    fn adopt(&mut self, database: &Database) -> Result<String> {
        let Some(edit) = database.outside_edit("t")? else { return Ok("nothing to adopt".into()) };
        let mut expected: BTreeMap<_, _> = rows(database)?;
        for row in &edit.diff.rows {
            match &row.after {
                Some(after) => expected.insert(row.key_text(), after.get("x").map(Into::into)),
                None => expected.remove(&row.key_text()),
            };
        }
        // Two who write at once may spoil the header too.
        let same_columns = edit.diff.columns.is_none();
        let commit = database.adopt(vec![edit], &Adopt::new().force(true))?;
        assert!(!same_columns || rows(database)? == expected);
        Ok(format!("adopted {:?}", commit.frame.map(|frame| frame.timestamp)))
    }

    /// Every word that was committed, and every one that was saved, is somewhere. Gives how many saves were looked for, so
    /// that nobody takes an idle test for a good one.
    fn check(&mut self) -> u64 {
        let (disk, editors) = (&self.storage.disk, &mut *self.storage.hook.lock().unwrap());
        editors.finish(disk);
        let quiet: Arc<dyn Storage> = Arc::new(disk.clone());
        let database = OpenOptions::new().storage(Arc::clone(&quiet)).open("").unwrap();
        database.checkpoint(&[]).unwrap();
        let snapshot = database.snapshot().unwrap();
        let mut history = String::new();
        for version in snapshot.versions("t").unwrap() {
            let table = snapshot.table_at("t", version.timestamp).unwrap();
            history.push_str(&String::from_utf8_lossy(&table.to_bytes().unwrap()));
        }
        let files = disk.files();
        let beside = files.iter().filter(|(path, _)| path.contains("current.csv"));
        let beside: String =
            beside.map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect();
        for word in &self.committed {
            assert!(history.contains(word), "{word} is lost");
        }
        let mut kept = 0;
        for save in editors.saves.iter().filter(|save| save.whole && !save.gone) {
            let found = history.contains(&save.word) || beside.contains(&save.word);
            assert!(found, "{} is lost\n{}", save.word, editors.trace.join("\n"));
            kept += 1;
        }
        kept
    }
}

/// What a table holds: value by key.
fn rows(database: &Database) -> Result<BTreeMap<String, Option<String>>> {
    let rows = database.snapshot()?.rows("t")?.map(|row| {
        let row = row?;
        let key = row.get("id").unwrap_or_default().into_owned();
        let value = row.get("x").map(Into::into);
        Ok((key, value))
    });
    rows.collect()
}

/// `REEDBASE_RUNS` sets how many runs there are.
#[test]
fn nothing_is_lost_whatever_editors_do_meanwhile() {
    let runs = std::env::var("REEDBASE_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs: u64 = runs.unwrap_or(10_000);
    let mut saved = 0;
    for seed in 0..runs {
        let mut run = Run::new(seed);
        let steps = 4 + run.random.below(20);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..steps).for_each(|_| run.step());
            run.check()
        }));
        saved += done.unwrap_or_else(|_| panic!("run {seed}"));
    }
    assert!(saved > runs, "only {saved} saves in {runs} runs");
}
