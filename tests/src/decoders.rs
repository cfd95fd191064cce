//! Everything that reads bytes which somebody else may have written or damaged, each as a function that may
//! refuse them but must not panic, hang, or give something that cannot be written again.
//!
//! The integration tests run each on mutated files; `tests/fuzz` hands each to a fuzzer.

use std::sync::{Arc, Mutex, OnceLock};

use reedbase::storage::{Access, MemoryStorage, Storage};
use reedbase::{
    ColumnType, Database, FrameId, Import, Limits, MergeCell, OpenOptions, Session, TableName,
    Timestamp,
};
use reedbase_kernel::csv::{Header, next_record};
use reedbase_kernel::delta::{
    BsdiffCodec, Codecs, Compression, DeltaFile, Pack, PackWriter, RowsCodec, VersionInfo,
};
use reedbase_kernel::journal::Journal;
use reedbase_kernel::log::{FrameIndex, NotAfter, UserDictionary, VersionLog};
use reedbase_kernel::mark::Mark;
use reedbase_kernel::merge::Drivers;
use reedbase_kernel::table::{Base, KeyOrder};
use reedbase_kernel::{cache, schema};
use reedbase_plugin_api::{Bytes, DeltaCodec, NodeId, Shape, row};

use crate::{seal, seeds};

/// A decoder, and files to start from.
pub struct Decoder {
    /// Its name, which is that of its fuzz target.
    pub name: &'static str,
    /// Reads bytes.
    pub read: fn(&[u8]),
    /// Bytes that it accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every decoder.
pub const ALL: [Decoder; 22] = [
    Decoder { name: "rows", read: rows, seeds: rows_seeds },
    Decoder { name: "bsdiff", read: bsdiff, seeds: bsdiff_seeds },
    Decoder { name: "delta_file", read: delta_file, seeds: || seeds::named(".bsdiff") },
    Decoder { name: "pack", read: pack, seeds: pack_seeds },
    Decoder { name: "frame_pack", read: frame_pack, seeds: frame_pack_seeds },
    Decoder { name: "unpack", read: unpack, seeds: unpack_seeds },
    Decoder { name: "journal", read: journal, seeds: || seeds::named(".wal") },
    Decoder { name: "mark", read: mark, seeds: || seeds::named("t/mark") },
    Decoder { name: "cache", read: cached, seeds: || seeds::named("cache/tables/t.hashmap") },
    Decoder { name: "csv", read: csv, seeds: || seeds::named("current.csv") },
    Decoder { name: "import", read: import, seeds: || seeds::named("current.csv") },
    Decoder { name: "cells", read: cells, seeds: || seeds::named("current.csv") },
    Decoder { name: "schema", read: schema_text, seeds: || seeds::named("schema.toml") },
    Decoder { name: "version_log", read: version_log, seeds: || seeds::named("version.log") },
    Decoder { name: "frame_index", read: frame_index, seeds: || seeds::named("index.csv") },
    Decoder { name: "users", read: users, seeds: || seeds::named("users.dict") },
    Decoder { name: "config", read: config, seeds: || seeds::named("config.toml") },
    Decoder { name: "when", read: when, seeds: when_seeds },
    Decoder { name: "names", read: names, seeds: names_seeds },
    Decoder { name: "merge_cell", read: merge_cell, seeds: merge_cell_seeds },
    Decoder { name: "merge_tables", read: merge_tables, seeds: merge_tables_seeds },
    Decoder { name: "query", read: query, seeds: query_seeds },
];

/// Runs the decoder of this name.
pub fn run(name: &str, data: &[u8]) {
    let decoder = ALL.iter().find(|decoder| decoder.name == name).expect("a decoder of this name");
    (decoder.read)(data);
}

fn storage(files: &[(&str, &[u8])]) -> Arc<dyn Storage> {
    let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    Arc::new(MemoryStorage::from_files(files.collect()))
}

fn table() -> TableName {
    TableName::new("t").expect("a name")
}

fn shape() -> Shape {
    Shape::new(b',', Bytes::from("id,title,n\r\n"), vec![0]).expect("a shape")
}

/// Three texts, with a zero between.
fn sides(data: &[u8]) -> [Option<String>; 3] {
    let mut sides = data.split(|byte| *byte == 0);
    [(); 3].map(|()| sides.next().map(|side| String::from_utf8_lossy(side).into_owned()))
}

/// Every driver decides about any cell, and says the same when it is asked again.
fn merge_cell(data: &[u8]) {
    let kinds = [ColumnType::String, ColumnType::Integer, ColumnType::Decimal, ColumnType::Json];
    let kind = kinds[data.len() % kinds.len()];
    let [base, ours, theirs] = sides(data);
    let (ours_at, theirs_at) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
    let cells = [MergeCell { kind, base, ours, theirs, ours_at, theirs_at }];
    let drivers = Drivers::default();
    for id in drivers.ids() {
        let driver = drivers.get(id).expect("it was listed");
        let decided = driver.merge(&cells).expect("a cell is no error");
        assert_eq!(decided.len(), 1, "{id}");
        assert_eq!(driver.merge(&cells).expect("no error"), decided, "{id}");
    }
}

fn merge_cell_seeds() -> Vec<Vec<u8>> {
    let seeds = ["1\x001.50\x00-2e3", "a;b\x00a;b;c\x00b", "one\ntwo\x00one\n2\x00one\nthree"];
    let json = "{\"a\": [1, {\"b\": null}]}\x00{\"a\": [1], \"c\": \"x\"}\x00{}";
    seeds.into_iter().chain([json]).map(|seed| seed.as_bytes().to_vec()).collect()
}

/// What comes of merging tables is a table again.
fn merge_tables(data: &[u8]) {
    let tables = sides(data).map(|side| reedbase::csv(side.unwrap_or_default(), &["id"]).ok());
    let [Some(base), Some(ours), Some(theirs)] = tables else { return };
    if let Ok(merged) = base.merge("t", &ours, &theirs) {
        let text = String::from_utf8(merged.text.to_vec()).expect("texts were merged");
        assert!(reedbase::csv(text.clone(), &["id"]).is_ok(), "{text}");
    }
}

fn merge_tables_seeds() -> Vec<Vec<u8>> {
    let one = "id,x\n1,a\n2,b\n\x00id,x\n1,c\n2,b\n3,d\n\x00id,y,x\n1,,a\n";
    let other = "id|x\r\n1|a\r\n\x00x,id\nb,1\n\x00id,x\n1,\"a\nb\"\n";
    [one, other].map(|seed| seed.as_bytes().to_vec()).to_vec()
}

/// What a codec accepts, it writes so that it comes back.
fn comes_back(codec: &dyn DeltaCodec, data: &[u8]) {
    let Ok(changesets) = codec.decode(&Bytes::copy_from_slice(data)) else { return };
    let mut again = Vec::new();
    codec.encode(&changesets, &mut again).expect("what was decoded can be encoded");
    assert_eq!(codec.decode(&Bytes::from(again)).expect("and decoded"), changesets);
}

fn rows(data: &[u8]) {
    comes_back(&RowsCodec, data);
}

fn bsdiff(data: &[u8]) {
    comes_back(&BsdiffCodec, data);
}

fn changesets(codec: &dyn DeltaCodec) -> Vec<Vec<u8>> {
    let encode = |file: Vec<u8>| {
        let delta = DeltaFile::decode(&Bytes::from(file), &Codecs::built_in()).expect("a delta");
        let mut bytes = Vec::new();
        codec.encode(&[delta.changeset], &mut bytes).expect("encoded");
        bytes
    };
    seeds::named(".bsdiff").into_iter().map(encode).collect()
}

fn rows_seeds() -> Vec<Vec<u8>> {
    changesets(&RowsCodec)
}

fn bsdiff_seeds() -> Vec<Vec<u8>> {
    changesets(&BsdiffCodec)
}

fn delta_file(data: &[u8]) {
    let mut data = data.to_vec();
    seal::at_end(&mut data);
    drop(DeltaFile::decode(&Bytes::from(data), &Codecs::built_in()));
}

fn pack(data: &[u8]) {
    let mut data = data.to_vec();
    seal::pack(&mut data);
    let storage = storage(&[("p", &data)]);
    let file = storage.open("p", Access::Read).expect("memory").expect("the file");
    let Ok(pack) = Pack::open(file) else { return };
    let all: Vec<usize> = (0..pack.versions().len()).collect();
    drop(pack.read(&all, |_, _| Ok(())));
    assert!(pack.touching(&"1".into()).all(|number| number < all.len()));
}

/// Packs as they are written, and one that is not compressed, so that its directory can be mutated.
fn pack_seeds() -> Vec<Vec<u8>> {
    let mut seeds =
        seeds::named("tables/t/").into_iter().filter(|file| file.starts_with(b"RDBPACK1"));
    let mut found: Vec<_> = seeds.by_ref().collect();
    let memory = MemoryStorage::new();
    let mut writer = PackWriter::create(&memory, "p", Compression::None, &[1; 32]).expect("a pack");
    for (number, delta) in (1_i64..).zip(seeds::named(".bsdiff")) {
        let delta = DeltaFile::decode(&Bytes::from(delta), &Codecs::built_in()).expect("a delta");
        let at = reedbase::Timestamp::from_micros;
        let (node, action) = (NodeId::from_bits(7), reedbase::Action::UPDATE);
        let version = VersionInfo::new(at(number), at(number - 1), action, 1, node).totals(10, 1);
        writer.push(version, delta.changeset, &|_| ()).expect("pushed");
    }
    writer.finish(&memory, &[2; 32], &|_| ()).expect("finished");
    found.extend(memory.files().remove("p"));
    found
}

fn frame_pack(data: &[u8]) {
    let mut data = data.to_vec();
    seal::frame_pack(&mut data);
    let users_file = seeds::named("users.dict");
    let users_file = users_file.iter().max_by_key(|file| file.len()).expect("a dictionary");
    let files = storage(&[("frames/1-2.pack", &data), ("registry/users.dict", users_file)]);
    let users = UserDictionary::read(&*files).expect("the dictionary");
    let Ok(index) = FrameIndex::read(&files, &users) else { return };
    let wall = NotAfter::Wall(Timestamp::from_micros(1_800_000_000_000_000));
    drop(index.newest_where(&users, wall, |frame| frame.name.is_some()));
    drop(index.frames(&users));
}

fn frame_pack_seeds() -> Vec<Vec<u8>> {
    let packs = seeds::named("frames/").into_iter();
    packs.filter(|file| file.starts_with(b"RDBFRAM1")).collect()
}

fn unpack(data: &[u8]) {
    let Some((len, packed)) = data.split_first_chunk::<2>() else { return };
    let packed = Bytes::copy_from_slice(packed);
    for compression in [Compression::None, Compression::Xz, Compression::Zstd] {
        let len = u64::from(u16::from_le_bytes(*len));
        if let Ok(bytes) = compression.unpack(&packed, len) {
            assert_eq!(bytes.len() as u64, len);
        }
    }
}

fn unpack_seeds() -> Vec<Vec<u8>> {
    let text = "some text ".repeat(30);
    let len = u16::try_from(text.len()).expect("short").to_le_bytes();
    let packed = |compression: Compression| {
        [&len[..], &compression.pack_bytes(text.as_bytes()).expect("packed")].concat()
    };
    [Compression::None, Compression::Xz, Compression::Zstd].map(packed).to_vec()
}

/// What a first look accepts, a second one finds the same, after the torn end was cut.
fn journal(data: &[u8]) {
    let mut data = data.to_vec();
    seal::journal(&mut data);
    let number = data.get(16..24).map_or(1, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let number = number.clamp(1, 9_999_999_999);
    let storage = storage(&[(&format!("journal/{number:010}.wal"), &data)]);
    let open = || Journal::open(Arc::clone(&storage), Access::Write, true);
    let Ok((_, scan)) = open() else { return };
    let (mut journal, again) = open().expect("what was opened opens again");
    assert_eq!(again.frames, scan.frames);
    assert!(again.torn.is_empty());
    assert!(journal.tail().expect("nothing follows").is_empty());
}

fn mark(data: &[u8]) {
    let mut data = data.to_vec();
    seal::mark(&mut data);
    let read = |bytes: &[u8]| Mark::read(&*storage(&[("tables/t/mark", bytes)]), &table(), "mark");
    let Ok(Some(mark)) = read(&data) else { return };
    drop(mark.shape(&Bytes::from("id,title,n\r\n")));
    let again = read(mark.to_text().as_bytes()).expect("what was read can be written");
    assert_eq!(again, Some(mark));
}

/// A layout that was damaged in a way the checksum does not show must not lead anybody outside the file.
fn cached(data: &[u8]) {
    let mut data = data.to_vec();
    seal::at_end(&mut data);
    let storage =
        storage(&[("cache/tables/t.hashmap", &data), ("file", b"id,title,n\r\n1,a,2\r\n")]);
    let sha = data.get(16..48).map_or([0; 32], |bytes| bytes.try_into().unwrap());
    let Some(layout) = cache::read_layout(&*storage, &table(), &sha) else { return };
    assert!(matches!(layout.order, None | Some(KeyOrder::Number | KeyOrder::Text)));
    let file = storage.open("file", Access::Read).expect("memory").expect("the file");
    let rebuild = Box::new(|| Err(reedbase::Error::corrupt("no history here")));
    let Ok(base) = Base::from_layout(Arc::new(shape()), layout, file, vec![0], rebuild) else {
        return;
    };
    drop(base.find(&"1".into()));
    (0..base.lines().min(100)).for_each(|slot| drop(base.line(slot)));
}

/// A text that parses is the sum of its lines, and every row is found under its key.
fn csv(data: &[u8]) {
    for delimiter in [b',', b'|'] {
        let Ok(header) = Header::parse(data, delimiter) else { continue };
        let text = Bytes::copy_from_slice(data);
        let Ok(shape) = Shape::new(delimiter, text.slice(..header.len), vec![0]) else { continue };
        let shape = Arc::new(shape);
        let Ok(base) = Base::parse(text.clone(), Arc::clone(&shape)) else { continue };
        let mut whole = shape.header().to_vec();
        for slot in 0..base.lines() {
            let line = base.line(slot).expect("a line");
            if !shape.is_blank(&line) {
                let cell =
                    row::cells(&line, delimiter).next().expect("a cell").text().expect("a key");
                let (found, _) = base.find(&cell.as_ref().into()).expect("found").expect("its row");
                assert_eq!(found, slot);
            }
            whole.extend_from_slice(&line);
        }
        assert_eq!(whole, data);
    }
}

fn import(data: &[u8]) {
    let mut import = Import::default();
    drop(import.read(Bytes::copy_from_slice(data)));
    import.add_key = Some("nr".to_owned());
    drop(import.read(Bytes::copy_from_slice(data)));
    import.pipe = true;
    drop(import.read(Bytes::copy_from_slice(data)));
}

/// Cells written anew read the same, and cutting a record here and there gives the same cells.
fn cells(data: &[u8]) {
    let Ok(record) = next_record(data, 0, b',', |_, _, _| {}) else { return };
    let Ok(text) = std::str::from_utf8(data.get(..record.end).unwrap_or_default()) else { return };
    let cells: Vec<_> = row::cells(text.as_bytes(), b',').map(|cell| cell.text()).collect();
    assert_eq!(cells.len(), record.cells);
    let borrowed: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
    let again = row::write_row(&borrowed, b'|', b"\n");
    let read: Vec<_> = row::cells(&again, b'|').map(|cell| cell.text()).collect();
    assert_eq!(read, cells);
}

fn schema_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(schema) = schema::parse(text) else { return };
    let again = schema::parse(&schema::to_text(&schema)).expect("what was read can be written");
    assert_eq!(again, schema);
}

fn version_log(data: &[u8]) {
    let mut data = data.to_vec();
    seal::lines(&mut data, 7);
    drop(VersionLog::read(&storage(&[("tables/t/version.log", &data)]), &table()));
}

fn frame_index(data: &[u8]) {
    let mut data = data.to_vec();
    seal::lines(&mut data, 8);
    let storage = storage(&[("frames/index.csv", &data)]);
    let users = UserDictionary::new(reedbase::Timestamp::ZERO);
    drop(FrameIndex::read(&storage, &users).and_then(|index| index.frames(&users)));
}

fn users(data: &[u8]) {
    drop(UserDictionary::read(&*storage(&[("registry/users.dict", data)])));
}

fn config(data: &[u8]) {
    drop(OpenOptions::new().storage(storage(&[("config.toml", data)])).open(""));
}

fn when(data: &[u8]) {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    let database = DATABASE.get_or_init(|| {
        let storage = Arc::new(MemoryStorage::from_files(seeds::files()[0].clone()));
        OpenOptions::new().storage(storage).limits(Limits::tiny()).open("").expect("open")
    });
    if let Ok(text) = std::str::from_utf8(data) {
        drop(database.frame_at(text));
    }
}

fn when_seeds() -> Vec<Vec<u8>> {
    [
        "HEAD~3",
        "2026-11-20 14:30",
        "2026-11-20T14:30:00Z",
        "20 minutes ago",
        "yesterday",
        "17",
        "3y 2mo ago",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Names that are accepted print as they were written, or as an equal one.
fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = TableName::new(text) {
        assert_eq!(TableName::new(name.as_str()).expect("a name"), name);
    }
    if let Ok(id) = text.parse::<FrameId>() {
        assert_eq!(id.to_string().parse::<FrameId>().expect("an id"), id);
    }
    if let Ok(node) = text.parse::<NodeId>() {
        assert_eq!(node.to_string().parse::<NodeId>().expect("a node"), node);
    }
}

fn names_seeds() -> Vec<Vec<u8>> {
    ["pages", "000660c2-7273-845a-8800-4c953d1d42e3", "4c953d1d42e3"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

/// Looks at a text in each dialect; nothing is run.
fn query(bytes: &[u8]) {
    static SESSION: OnceLock<Mutex<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| {
        let options = OpenOptions::new().storage(Arc::new(MemoryStorage::new())).create(true);
        let database = options.open("").expect("a database");
        let mut session = database.session().expect("a session");
        let tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, doc JSON); INSERT INTO t VALUES (1, 'a', '{}'); \
                      CREATE TABLE u (x INTEGER, y DECIMAL); CREATE VIEW v AS SELECT x FROM u";
        session.execute(tables, ()).expect("tables");
        Mutex::new(session)
    });
    let mut session = session.lock().expect("nothing panicked before");
    let text = String::from_utf8_lossy(bytes);
    for dialect in ["reedql", "tissql", "filter"] {
        session.set_dialect(dialect).expect("a dialect");
        let _: bool = session.is_complete(&text);
        drop(session.prepare(&text));
        drop(session.explain(&text, ()));
    }
}

fn query_seeds() -> Vec<Vec<u8>> {
    [
        "SELECT a.name, count(*) FROM t AS OF HEAD~1 a JOIN u ON u.x = a.id WHERE a.id > ? GROUP BY 1",
        "INSERT INTO t (id, name) VALUES (2, 'it''s') ON CONFLICT (id) DO UPDATE SET name = :n RETURNING *",
        "SELECT * FROM history('t', 1), diff('t', 0, 'HEAD') d; -- end\nDELETE FROM u WHERE x IN v",
        "CREATE TABLE \"w\" (a INT DEFAULT 3, b TEXT UNIQUE); CREATE INDEX i ON t USING hash (name COLLATE NOCASE)",
        "UPDATE t SET doc.a[0] = 'x', name = NULL WHERE doc.b.c BETWEEN 1 AND 2.5e3 OR NOT EXISTS (SELECT 1)",
        "SELECT EXTRACT(YEAR FROM TIMESTAMP '2026-01-01T00:00:00Z' + INTERVAL '5' DAY) AS y FROM t LIMIT 1",
        r#"{"from": "t", "filter": {"or": [{"doc.a": {"gt": 1.5}}, {"name": {"in": ["a", null]}}]}, "sort": {"id": "desc"}}"#,
        r#"{"from": "u", "group": ["x"], "aggregate": {"n": "count", "s": {"sum": "y"}}, "limit": 3, "offset": 1}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
