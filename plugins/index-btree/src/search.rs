//! A search in a tree: the run and what came beside it are walked together.

use std::ops::Range as Places;
use std::sync::Arc;

use reedbase_plugin_api::{IndexSearch, Keys, Range};
use reedbase_plugin_index_kit::Window;

use crate::tree::Tree;

/// A search that is under way.
pub(crate) struct Search {
    tree: Arc<Tree>,
    /// The entries of the run that were not looked at yet.
    run: Places<usize>,
    /// The same for what came, by its bytes; `None` if nothing did.
    added: Option<Window>,
    reversed: bool,
}

impl Search {
    pub(crate) fn new(tree: Arc<Tree>, range: &Range) -> Self {
        let run = match range {
            Range::Equal(value) => tree.run.beginning_with(value),
            Range::Between { from, to, .. } => tree.run.between(from, to.as_deref()),
        };
        let added = (tree.overlay.added_count() > 0).then(|| Window::of(range));
        let reversed = matches!(range, Range::Between { reversed: true, .. });
        Self { tree, run, added, reversed }
    }

    /// The next entry of the run that did not go.
    fn next_of_run(&mut self) -> Option<usize> {
        let tree = &self.tree;
        let stays = |at: &usize| !tree.overlay.is_removed(tree.run.whole(*at));
        match self.reversed {
            true => self.run.by_ref().rev().find(stays),
            false => self.run.find(stays),
        }
    }

    /// Gives an entry of the run back.
    fn give_back(&mut self) {
        if self.reversed { self.run.end += 1 } else { self.run.start -= 1 }
    }

    /// Nothing came: the run is all there is.
    fn next_plain(&mut self, max: usize, keys: &mut Keys) -> bool {
        while keys.len() < max {
            let Some(at) = self.next_of_run() else { return false };
            keys.push(self.tree.run.parts(at).1);
        }
        !self.run.is_empty()
    }

    fn next_merged(&mut self, window: Window, max: usize, keys: &mut Keys) -> bool {
        let tree = Arc::clone(&self.tree);
        let mut rest = window.clone();
        let mut forward = tree.overlay.added(&window);
        let reversed = self.reversed;
        let mut added = std::iter::from_fn(|| match reversed {
            true => forward.next_back(),
            false => forward.next(),
        })
        .peekable();
        while keys.len() < max {
            let of_run = self.next_of_run();
            let take_run = match (of_run, added.peek()) {
                (None, None) => return false,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(at), Some((value, key))) => {
                    let order = tree.run.whole(at).iter().cmp(value.iter().chain(*key));
                    if reversed { order.is_gt() } else { order.is_lt() }
                }
            };
            if let (true, Some(at)) = (take_run, of_run) {
                keys.push(tree.run.parts(at).1);
                continue;
            }
            if of_run.is_some() {
                self.give_back();
            }
            if let Some((value, key)) = added.next() {
                keys.push(key);
                let mut place = [value, key].concat();
                match reversed {
                    true => rest.to = Some(place),
                    false => {
                        place.push(0);
                        rest.from = place;
                    }
                }
            }
        }
        self.added = Some(rest);
        true
    }
}

impl IndexSearch for Search {
    fn next(&mut self, max: usize, keys: &mut Keys) -> bool {
        match self.added.take() {
            None => self.next_plain(max, keys),
            Some(window) => self.next_merged(window, max, keys),
        }
    }
}
