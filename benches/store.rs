//! How many turns a second the store commits: batches of one write, in groups as they queue up.

use std::sync::mpsc;
use std::time::Instant;

use rhapsode::store::error::StoreError;
use rhapsode::store::{Batch, Committed, Durability, Store, StoreOptions, Write};
use serde_json::json;

fn main() {
    for durability in [Durability::Full, Durability::Relaxed] {
        let options = StoreOptions { durability, ..StoreOptions::default() };
        let store = match Store::scratch(options) {
            Ok(store) => store,
            Err(error) => return eprintln!("no store: {error}"),
        };
        for (count, in_flight) in [(2_000, 1), (20_000, 64), (100_000, 1024)] {
            let rate = measure(&store, count, in_flight);
            println!("{durability:?}: {in_flight} in flight: {rate:.0} batches/s");
        }
    }
}

fn measure(store: &Store, count: u32, in_flight: u32) -> f64 {
    let (sender, receiver) = mpsc::channel::<Result<Committed, StoreError>>();
    let begun = Instant::now();
    for n in 0..count + in_flight {
        if n >= in_flight {
            receiver.recv().expect("the sender lives").expect("the disk takes it");
        }
        if n < count {
            let sender = sender.clone();
            store.commit(batch(n), Box::new(move |result| drop(sender.send(result))));
        }
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn batch(n: u32) -> Batch {
    let write = Write {
        script: "main".to_owned(),
        key: format!("key/{}", n % 5000),
        value: Some(
            json!({ "count": n, "text": "a hundred bytes or so of what scripts like to keep, which is not very much" }),
        ),
        expires: None,
    };
    Batch { bot: format!("bot{}", n % 100), writes: vec![write], ..Batch::default() }
}
