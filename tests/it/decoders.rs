use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use reedbase_tests::decoders::{ALL, Decoder};

/// How many mutations of each seed are tried.
const ROUNDS: u64 = 10_000;

/// Numbers that look random and are the same in every run (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// A few random changes: bits, bytes, lengths, pieces copied, cut and swapped.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let (at, other) = (random.below(bytes.len()), random.below(bytes.len()));
        let (from, to) = (at.min(other), at.max(other));
        match random.below(8) {
            _ if bytes.is_empty() => bytes.push(random.below(256) as u8),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'|', b'"', b'\n'][random.below(8)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(from..to.min(from + 16))),
            4 => {
                let piece = bytes[from..to.min(from + 32)].to_vec();
                bytes.splice(other..other, piece);
            }
            5 => bytes.splice(at..at, [0xff; 9]).for_each(drop),
            6 => bytes[at] = bytes[at].wrapping_add(1),
            _ => bytes.swap(at, other),
        }
    }
}

/// No decoder panics, whatever it is given; and each accepts what the database wrote.
#[test]
fn no_decoder_panics() {
    for Decoder { name, read, seeds } in ALL {
        let mut random = Random(0x5eed);
        for seed in seeds() {
            read(&seed);
            for _ in 0..ROUNDS {
                let mut bytes = seed.clone();
                mutate(&mut bytes, &mut random);
                if catch_unwind(AssertUnwindSafe(|| read(&bytes))).is_err() {
                    let text = String::from_utf8_lossy(&bytes);
                    panic!("decoder {name} panicked on {bytes:02x?}\n{text}");
                }
            }
        }
        for len in 0..40 {
            let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            read(&bytes);
        }
    }
}

/// Every decoder has a fuzz target of its name.
#[test]
fn every_decoder_has_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for Decoder { name, .. } in ALL {
        assert!(fuzz.join(format!("targets/{name}.rs")).is_file(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}
