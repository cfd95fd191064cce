//! A persistent ordered map that also counts: a B+ tree whose inner nodes know the weight below them.
//!
//! A clone is one pointer; a change copies the nodes from the root to one leaf and shares the rest, so
//! that a snapshot never sees it. Values have a weight, and `weight_before` sums the weights of all
//! smaller keys in O(log n): that is how the place of a line becomes its ordinal and back. Nothing is
//! ever removed from the map: a removed line stays as one that says so.

use std::cmp::Ordering;
use std::sync::Arc;

/// How many entries a node holds at most.
const FANOUT: usize = if cfg!(test) { 4 } else { 32 };

/// What a value adds to the sums.
pub(crate) trait Weight {
    fn weight(&self) -> i64;
}

/// A map from `K` to `V`.
#[derive(Debug, Clone)]
pub(crate) struct Tree<K, V> {
    root: Option<Arc<Node<K, V>>>,
}

#[derive(Debug, Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    Inner(Vec<Child<K, V>>),
}

#[derive(Debug, Clone)]
struct Child<K, V> {
    /// The smallest key below.
    least: K,
    /// The sum of the weights below.
    weight: i64,
    node: Arc<Node<K, V>>,
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<K: Ord + Clone, V: Clone + Weight> Tree<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
                    return entries.get(at).map(|(_, value)| value);
                }
                Node::Inner(children) => node = &*children.get(child_of(children, key))?.node,
            }
        }
    }

    /// Adds or replaces the value of a key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(vec![(key, value)])));
            return;
        };
        if let Some(split) = Arc::make_mut(root).insert(key, value) {
            let halves = vec![Child::new(Arc::clone(root)), Child::new(Arc::new(split))];
            self.root = Some(Arc::new(Node::Inner(halves.into_iter().flatten().collect())));
        }
    }

    /// The weight of everything.
    pub(crate) fn weight(&self) -> i64 {
        self.root.as_ref().map_or(0, |root| root.weight())
    }

    /// The weight of all smaller keys.
    pub(crate) fn weight_before(&self, key: &K) -> i64 {
        let mut sum = 0;
        let mut next = self.root.as_deref();
        while let Some(node) = next {
            match node {
                Node::Leaf(entries) => {
                    let smaller = entries.iter().take_while(|(other, _)| other < key);
                    return sum + smaller.map(|(_, value)| value.weight()).sum::<i64>();
                }
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    sum += children.iter().take(at).map(|child| child.weight).sum::<i64>();
                    next = children.get(at).map(|child| &*child.node);
                }
            }
        }
        sum
    }

    /// The last entry for which `holds(key, weight of all smaller keys)`, with that weight; `holds` must
    /// be true for a prefix of the entries.
    pub(crate) fn last_where(&self, holds: impl Fn(&K, i64) -> bool) -> Option<(&K, &V, i64)> {
        let mut sum = 0;
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let mut found = None;
                    for (key, value) in entries {
                        if !holds(key, sum) {
                            break;
                        }
                        found = Some((key, value, sum));
                        sum += value.weight();
                    }
                    return found;
                }
                Node::Inner(children) => {
                    let mut chosen = None;
                    let mut before = sum;
                    for child in children {
                        if !holds(&child.least, before) {
                            break;
                        }
                        chosen = Some((child, before));
                        before += child.weight;
                    }
                    let (child, before) = chosen?;
                    sum = before;
                    node = &child.node;
                }
            }
        }
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> Range<'_, K, V> {
        let mut range = Range { stack: Vec::new(), leaf: [].iter() };
        if let Some(root) = &self.root {
            range.descend(root);
        }
        range
    }

    /// The keys under which this tree and another, of which it was made or which was made of it, have something else; `same`
    /// says of values that they do not differ. Cost: what differs, not the size: parts that both share are passed by. `None`
    /// if there are more than `most`.
    pub(crate) fn differing(
        &self,
        other: &Self,
        most: usize,
        same: impl Fn(&V, &V) -> bool,
    ) -> Option<Vec<K>> {
        let (mut ours, mut theirs) = without_shared(self.top(), other.top());
        loop {
            if !ours.iter().chain(&theirs).any(|part| matches!(**part.node, Node::Inner(_))) {
                break;
            }
            if ours.len() + theirs.len() > most {
                return None;
            }
            (ours, theirs) = without_shared(below(&ours), below(&theirs));
        }
        let (mut ours, mut theirs) = (entries(&ours).peekable(), entries(&theirs).peekable());
        let mut keys = Vec::new();
        while keys.len() <= most {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return Some(keys),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let one = if order.is_le() { ours.next() } else { None };
            let other = if order.is_ge() { theirs.next() } else { None };
            match (one, other) {
                (Some((_, one)), Some((_, other))) if same(one, other) => {}
                (one, other) => keys.extend(one.or(other).map(|(key, _)| key.clone())),
            }
        }
        None
    }

    fn top(&self) -> impl Iterator<Item = Part<'_, K, V>> {
        self.root.iter().filter_map(|node| Some(Part { least: node.least()?, node }))
    }

    /// All entries from a key on, in order.
    pub(crate) fn iter_from(&self, key: &K) -> Range<'_, K, V> {
        let mut range = Range { stack: Vec::new(), leaf: [].iter() };
        let mut next = self.root.as_deref();
        while let Some(node) = next {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.partition_point(|(other, _)| other < key);
                    range.leaf = entries.get(at..).unwrap_or_default().iter();
                    return range;
                }
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    range.stack.push(children.get(at + 1..).unwrap_or_default().iter());
                    next = children.get(at).map(|child| &*child.node);
                }
            }
        }
        range
    }
}

/// Parts of a tree, in order.
type Parts<'t, K, V> = Vec<Part<'t, K, V>>;

/// Parts of two trees.
type Both<'t, K, V> = (Parts<'t, K, V>, Parts<'t, K, V>);

/// A part of a tree.
struct Part<'t, K, V> {
    least: &'t K,
    node: &'t Arc<Node<K, V>>,
}

/// The parts that are not the very same in both lists. Both are in order, and so those that are shared stand opposite to each
/// other.
fn without_shared<'t, K: Ord, V>(
    ours: impl Iterator<Item = Part<'t, K, V>>,
    theirs: impl Iterator<Item = Part<'t, K, V>>,
) -> Both<'t, K, V> {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return (left, right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.least.cmp(other.least),
        };
        let one = if order.is_le() { ours.next() } else { None };
        let other = if order.is_ge() { theirs.next() } else { None };
        match (one, other) {
            (Some(one), Some(other)) if Arc::ptr_eq(one.node, other.node) => {}
            (one, other) => {
                left.extend(one);
                right.extend(other);
            }
        }
    }
}

/// The children of inner nodes; leaves stay.
fn below<'t, K, V>(parts: &[Part<'t, K, V>]) -> impl Iterator<Item = Part<'t, K, V>> {
    parts.iter().flat_map(|part| {
        let (leaf, children) = match &**part.node {
            Node::Leaf(_) => (Some(Part { ..*part }), [].iter()),
            Node::Inner(children) => (None, children.iter()),
        };
        let below = children.map(|child| Part { least: &child.least, node: &child.node });
        leaf.into_iter().chain(below)
    })
}

/// The entries of leaves, in order.
fn entries<'t, K, V>(parts: &[Part<'t, K, V>]) -> impl Iterator<Item = &'t (K, V)> {
    parts.iter().flat_map(|part| match &**part.node {
        Node::Leaf(entries) => entries.as_slice(),
        Node::Inner(_) => &[],
    })
}

/// The child under which a key belongs.
fn child_of<K: Ord, V>(children: &[Child<K, V>], key: &K) -> usize {
    children.partition_point(|child| child.least <= *key).saturating_sub(1)
}

impl<K: Ord + Clone, V: Clone + Weight> Child<K, V> {
    fn new(node: Arc<Node<K, V>>) -> Option<Self> {
        let least = node.least()?.clone();
        Some(Self { least, weight: node.weight(), node })
    }
}

impl<K: Ord + Clone, V: Clone + Weight> Node<K, V> {
    fn weight(&self) -> i64 {
        match self {
            Self::Leaf(entries) => entries.iter().map(|(_, value)| value.weight()).sum(),
            Self::Inner(children) => children.iter().map(|child| child.weight).sum(),
        }
    }

    /// The smallest key.
    fn least(&self) -> Option<&K> {
        match self {
            Self::Leaf(entries) => entries.first().map(|(key, _)| key),
            Self::Inner(children) => children.first().map(|child| &child.least),
        }
    }

    /// Adds or replaces; the right half comes back if the node had to be split.
    fn insert(&mut self, key: K, value: V) -> Option<Self> {
        match self {
            Self::Leaf(entries) => {
                match entries.binary_search_by(|(other, _)| other.cmp(&key)) {
                    Ok(at) => {
                        if let Some(entry) = entries.get_mut(at) {
                            entry.1 = value;
                        }
                    }
                    Err(at) => entries.insert(at, (key, value)),
                }
                (entries.len() > FANOUT)
                    .then(|| Self::Leaf(entries.split_off(split_at(entries.len()))))
            }
            Self::Inner(children) => {
                let at = child_of(children, &key);
                let child = children.get_mut(at)?;
                let split = Arc::make_mut(&mut child.node).insert(key, value);
                if let Some(fresh) = Child::new(Arc::clone(&child.node)) {
                    *child = fresh;
                }
                if let Some(right) = split.and_then(|right| Child::new(Arc::new(right))) {
                    children.insert(at + 1, right);
                }
                (children.len() > FANOUT)
                    .then(|| Self::Inner(children.split_off(split_at(children.len()))))
            }
        }
    }
}

/// Where a full node is split: nearly at its end, since most keys come in ascending order.
fn split_at(len: usize) -> usize {
    len - len / 4 - 1
}

/// Entries in order.
#[derive(Debug, Clone)]
pub(crate) struct Range<'a, K, V> {
    stack: Vec<std::slice::Iter<'a, Child<K, V>>>,
    leaf: std::slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Range<'a, K, V> {
    fn descend(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
                Node::Inner(children) => {
                    let mut children = children.iter();
                    let Some(first) = children.next() else { return };
                    self.stack.push(children);
                    node = &first.node;
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Range<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.stack.last_mut()?.next() {
                Some(child) => self.descend(&child.node),
                None => {
                    self.stack.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    impl Weight for i64 {
        fn weight(&self) -> i64 {
            *self
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(inserts in prop::collection::vec((0_u32..60, -2_i64..3), 0..200)) {
            let mut tree = Tree::default();
            let mut model = BTreeMap::new();
            let mut old = Vec::new();
            for (at, (key, value)) in inserts.iter().enumerate() {
                if at % 50 == 0 {
                    old.push((tree.clone(), model.clone()));
                }
                tree.insert(*key, *value);
                model.insert(*key, *value);
            }
            old.push((tree, model));
            for (tree, model) in &old {
                for (other, known) in &old {
                    let mut keys = tree.differing(other, 100, |one, two| one == two).unwrap();
                    keys.sort();
                    let all: BTreeSet<u32> = model.keys().chain(known.keys()).copied().collect();
                    let differs = |key: &u32| model.get(key) != known.get(key);
                    prop_assert_eq!(keys, all.into_iter().filter(differs).collect::<Vec<_>>());
                }
                prop_assert!(tree.iter().eq(model.iter()));
                prop_assert_eq!(tree.is_empty(), model.is_empty());
                prop_assert_eq!(tree.weight(), model.values().sum::<i64>());
                for key in 0..61 {
                    let before: i64 = model.range(..key).map(|(_, value)| *value).sum();
                    prop_assert_eq!(tree.weight_before(&key), before);
                    prop_assert_eq!(tree.get(&key), model.get(&key));
                    prop_assert!(tree.iter_from(&key).eq(model.range(key..)));
                    let last = model.range(..=key).next_back();
                    let found = tree.last_where(|other, _| *other <= key);
                    prop_assert_eq!(found.map(|(key, value, _)| (key, value)), last);
                }
            }
        }
    }
}
