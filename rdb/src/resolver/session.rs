//! What was decided so far, and what a key does.

use reedbase::{OpenConflict, Pick};

/// A conflict that is to be decided.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) open: OpenConflict,
    /// What the database holds now.
    pub(crate) now: Option<String>,
    pub(crate) pick: Option<Pick>,
}

/// What somebody pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    Left,
    Right,
    Enter,
    Char(char),
    Backspace,
    Escape,
}

/// What is asked on the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    /// Another value, as far as it is written.
    Value(String),
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    GoOn,
    /// What was picked is to be written.
    Write,
    /// What was picked is to be noted for later.
    Leave,
}

/// All that is to be decided, and where one is.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) items: Vec<Item>,
    pub(crate) at: usize,
    /// Whether theirs is the side that Enter takes.
    pub(crate) theirs: bool,
    pub(crate) asked: Asked,
    /// What a key could not do.
    pub(crate) told: Option<String>,
    /// What was picked before, to be taken back: which conflict, and what it was.
    past: Vec<(usize, Option<Pick>)>,
}

impl Session {
    /// Begins at the first that is not decided.
    pub(crate) fn new(items: Vec<Item>) -> Self {
        let at = items.iter().position(|item| item.pick.is_none()).unwrap_or(0);
        let (asked, told, past) = (Asked::Nothing, None, Vec::new());
        Self { items, at, theirs: false, asked, told, past }
    }

    pub(crate) fn item(&self) -> Option<&Item> {
        self.items.get(self.at)
    }

    /// How many are decided.
    pub(crate) fn decided(&self) -> usize {
        self.items.iter().filter(|item| item.pick.is_some()).count()
    }

    pub(crate) fn press(&mut self, key: Key) -> Outcome {
        self.told = None;
        if let Asked::Value(_) = self.asked {
            self.write(key);
            return Outcome::GoOn;
        }
        match key {
            Key::Up => self.at = self.at.saturating_sub(1),
            Key::Down => self.at = (self.at + 1).min(self.items.len().saturating_sub(1)),
            Key::Left => self.theirs = false,
            Key::Right => self.theirs = true,
            Key::Enter => self.pick(if self.theirs { Pick::Theirs } else { Pick::Ours }),
            Key::Char('b') => self.pick(Pick::Base),
            Key::Char('2') => self.both(),
            Key::Char('n') => self.pick(Pick::Value(None)),
            Key::Char('e') => self.edit(),
            Key::Char('u') => self.undo(),
            Key::Char('w') => return Outcome::Write,
            Key::Char('q') | Key::Escape => return Outcome::Leave,
            Key::Char(other) => self.told = Some(format!("`{other}` does nothing here")),
            Key::Backspace => {}
        }
        Outcome::GoOn
    }

    /// Decides the conflict one is at, and goes on to the next that is open.
    fn pick(&mut self, pick: Pick) {
        let at = self.at;
        let Some(item) = self.items.get_mut(at) else { return };
        self.past.push((at, item.pick.replace(pick)));
        let open = |(_, item): &(usize, &Item)| item.pick.is_none();
        let mut later =
            self.items.iter().enumerate().skip(at + 1).chain(self.items.iter().enumerate());
        self.at = later.find(open).map_or(at, |(next, _)| next);
        self.theirs = false;
    }

    /// Both rows can stay only where a row is disputed, or one of its cells.
    fn both(&mut self) {
        match self.item().is_some_and(|item| item.open.conflict.key.len() == 1) {
            true => self.pick(Pick::Both),
            false => {
                self.told = Some("both cannot stay: the key has not just one column".to_owned())
            }
        }
    }

    fn undo(&mut self) {
        match self.past.pop() {
            Some((at, pick)) => {
                self.at = at;
                if let Some(item) = self.items.get_mut(at) {
                    item.pick = pick;
                }
            }
            None => self.told = Some("nothing to undo".to_owned()),
        }
    }

    /// Begins with the side that is chosen, or with what was written before.
    fn edit(&mut self) {
        let Some(item) = self.item() else { return };
        let conflict = &item.open.conflict;
        let side = if self.theirs { &conflict.theirs } else { &conflict.ours };
        let text = match &item.pick {
            Some(Pick::Value(Some(text))) => text.clone(),
            _ => side.clone().unwrap_or_default(),
        };
        self.asked = Asked::Value(text);
    }

    fn write(&mut self, key: Key) {
        let Asked::Value(text) = &mut self.asked else { return };
        match key {
            Key::Char(c) => text.push(c),
            Key::Backspace => drop(text.pop()),
            Key::Escape => self.asked = Asked::Nothing,
            Key::Enter => {
                let text = std::mem::take(text);
                self.asked = Asked::Nothing;
                self.pick(Pick::Value(Some(text)));
            }
            Key::Up | Key::Down | Key::Left | Key::Right => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reedbase::storage::MemoryStorage;
    use reedbase::{Database, OpenOptions};

    use super::super::screen;
    use super::*;

    /// A session with three conflicts: two cells of one row, and a row.
    fn session() -> (Database, Session) {
        let storage = Arc::new(MemoryStorage::new());
        let database = OpenOptions::new().storage(storage).create(true).open("").unwrap();
        let mut transaction = database.begin().unwrap();
        let table = reedbase::csv("id,x,y\na,1,1\nb,1,1\n", &["id"]).unwrap();
        transaction.create_table("t", &table).unwrap();
        transaction.commit().unwrap();
        let mut theirs = database.begin().unwrap();
        theirs.update("t", "a", [("x", "their words"), ("y", "2")]).unwrap();
        theirs.delete("t", "b").unwrap();
        let mut ours = database.begin().unwrap();
        ours.update("t", "a", [("x", "our words"), ("y", "3")]).unwrap();
        ours.update("t", "b", [("x", "3")]).unwrap();
        ours.commit().unwrap();
        assert_eq!(theirs.commit_parking().unwrap().parked.len(), 3);
        let open = database.snapshot().unwrap().conflicts().unwrap();
        let item = |open: OpenConflict| Item { now: open.conflict.ours.clone(), open, pick: None };
        (database, Session::new(open.into_iter().map(item).collect()))
    }

    fn shown(session: &Session, width: usize, height: usize) -> String {
        let lines = screen(session, width, height);
        assert!(lines.len() <= height, "{} lines", lines.len());
        let line = |line: &Vec<(String, _)>| line.iter().map(|(text, _)| text.as_str()).collect();
        lines.iter().map(line).collect::<Vec<String>>().join("\n")
    }

    #[test]
    fn keys_decide_go_on_and_take_back() {
        let (_database, mut session) = session();
        assert_eq!((session.at, session.decided()), (0, 0));
        session.press(Key::Right);
        session.press(Key::Enter);
        assert_eq!(session.items[0].pick, Some(Pick::Theirs));
        assert_eq!((session.at, session.theirs), (1, false));
        for key in [Key::Char('e'), Key::Backspace, Key::Char('7'), Key::Char('u'), Key::Enter] {
            assert_eq!(session.press(key), Outcome::GoOn);
        }
        assert!(
            matches!(&session.items[1].pick, Some(Pick::Value(Some(text))) if text.ends_with("7u"))
        );
        session.press(Key::Char('u'));
        assert_eq!((session.at, session.items[1].pick.clone()), (1, None));
        session.press(Key::Up);
        session.press(Key::Char('b'));
        assert_eq!(session.items[0].pick, Some(Pick::Base));
        session.press(Key::Char('u'));
        assert_eq!(session.items[0].pick, Some(Pick::Theirs), "what was picked before comes back");
        session.press(Key::Char('e'));
        session.press(Key::Escape);
        assert_eq!(session.asked, Asked::Nothing);
        assert_eq!(session.press(Key::Escape), Outcome::Leave);
        assert_eq!(session.press(Key::Char('w')), Outcome::Write);
        session.press(Key::Char('x'));
        assert_eq!(session.told.as_deref(), Some("`x` does nothing here"));
    }

    #[test]
    fn the_screen_shows_both_sides_and_what_is_chosen() {
        let (_database, mut session) = session();
        let at = session.items.iter().position(|item| {
            item.open.conflict.column.as_deref() == Some("x") && item.open.conflict.key == ["a"]
        });
        session.at = at.unwrap();
        let text = shown(&session, 60, 24);
        let beside = |one: &str, other: &str| {
            text.lines().any(|line| {
                line.split_once('│').is_some_and(|(l, r)| (l.trim(), r.trim()) == (one, other))
            })
        };
        assert!(beside("▶ ours", "theirs") && beside("our words", "their words"), "{text}");
        session.press(Key::Right);
        assert!(shown(&session, 60, 24).contains("▶ theirs"));
        // A terminal of any size shows what it can.
        for (width, height) in [(1, 1), (10, 5), (20, 8), (300, 200)] {
            shown(&session, width, height);
        }
        session.items[session.at].now = Some("later".to_owned());
        assert!(shown(&session, 60, 30).contains("the database holds now"));
    }
}
