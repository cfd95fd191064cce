//! A terminal on which something is decided: keys are read, whole screens are shown.

use std::io::IsTerminal;

use console::Term;
use reedbase::{Error, Result};

use crate::output::Output;
use crate::resolver::{Key, Outcome, Session, screen};

/// Lets somebody decide; gives what is to become of it. The screen is as it was in the end.
pub(crate) fn resolve(session: &mut Session, output: &Output) -> Result<Outcome> {
    let term = Term::stdout();
    if !term.is_term() || !std::io::stdin().is_terminal() {
        return Err(Error::usage("there is no terminal to decide on")
            .help("say what is picked: --ours, --theirs, --value TEXT, or --from FILE"));
    }
    let failed = |source| Error::io("use the terminal", "", source);
    // The other screen of the terminal, as editors use it.
    term.write_str("\x1b[?1049h").map_err(failed)?;
    let _shown = Restore(&term);
    term.hide_cursor().map_err(failed)?;
    loop {
        let (height, width) = term.size();
        let lines = screen(session, usize::from(width), usize::from(height));
        let mut text = String::from("\x1b[H\x1b[2J");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text.push_str("\r\n");
            }
            for (piece, style) in line {
                text.push_str(
                    &style.map_or_else(|| piece.clone(), |style| output.styled(style, piece)),
                );
            }
        }
        term.write_str(&text).map_err(failed)?;
        let key = match term.read_key_raw() {
            // What was picked is not lost.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                return Ok(Outcome::Leave);
            }
            key => key.map_err(failed)?,
        };
        match known(key).map_or(Outcome::GoOn, |key| session.press(key)) {
            Outcome::GoOn => {}
            done => return Ok(done),
        }
    }
}

/// Gives the screen back, whatever happened.
struct Restore<'a>(&'a Term);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        // If even this fails, there is no terminal any more.
        drop(self.0.show_cursor());
        drop(self.0.write_str("\x1b[?1049l"));
    }
}

fn known(key: console::Key) -> Option<Key> {
    Some(match key {
        console::Key::ArrowUp => Key::Up,
        console::Key::ArrowDown => Key::Down,
        console::Key::ArrowLeft => Key::Left,
        console::Key::ArrowRight => Key::Right,
        console::Key::Enter => Key::Enter,
        console::Key::Backspace => Key::Backspace,
        console::Key::Escape | console::Key::CtrlC => Key::Escape,
        console::Key::Char(c) if !c.is_control() => Key::Char(c),
        _ => return None,
    })
}
