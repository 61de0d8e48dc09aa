//! What a stanza costs on its way in and out: framing, reading, writing.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rhapsode::ns;
use rhapsode::xml::{Element, Frame, Framer, Limits, Reader, writer};

fn benchmarks(criterion: &mut Criterion) {
    for (name, text) in [("chat", CHAT.to_owned()), ("roster", roster())] {
        let element = read(&text);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("frame", |b| {
            let mut framer = opened();
            b.iter(|| {
                framer.push(black_box(text.as_bytes()));
                assert!(matches!(framer.next_frame(), Ok(Some(Frame::Element(_)))));
                assert_eq!(framer.next_frame(), Ok(None));
            });
        });
        group.bench_function("read", |b| {
            let reader = reader();
            b.iter(|| reader.element(black_box(&text)));
        });
        group.bench_function("frame and read", |b| {
            let (mut framer, reader) = (opened(), reader());
            b.iter(|| {
                framer.push(black_box(text.as_bytes()));
                let element = match framer.next_frame() {
                    Ok(Some(Frame::Element(frame))) => reader.element(frame),
                    other => panic!("{other:?}"),
                };
                assert_eq!(framer.next_frame(), Ok(None));
                element
            });
        });
        group.bench_function("write", |b| {
            let mut out = Vec::new();
            b.iter(|| {
                out.clear();
                writer::write(black_box(&element), ns::CLIENT, &mut out)
            });
        });
        group.finish();
    }
}

criterion_group!(xml, benchmarks);
criterion_main!(xml);

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// 226 bytes, as a server delivers a line of chat.
const CHAT: &str = "<message from='juliet@capulet.example/balcony' to='romeo@montague.example/orchard' type='chat' \
    id='ktx72v49' xml:lang='en'><body>Art thou not Romeo, &amp; a Montague?</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/></message>";

/// 4.8 KB: forty contacts.
fn roster() -> String {
    let items: String = (0..40)
        .map(|n| {
            format!(
                "<item jid='contact{n:03}@montague.example' name='Contact number {n:03}' subscription='both'>\
                 <group>Friends {n:03}</group></item>"
            )
        })
        .collect();
    format!(
        "<iq id='r1' to='a@b/c' type='result'><query xmlns='jabber:iq:roster' ver='v7'>{items}</query></iq>"
    )
}

fn opened() -> Framer {
    let mut framer = Framer::new(Limits::DEFAULT);
    framer.push(HEADER.as_bytes());
    assert_eq!(framer.next_frame(), Ok(Some(Frame::StreamOpen(HEADER))));
    framer
}

fn reader() -> Reader {
    Reader::header(HEADER).expect("a constant of this file").0
}

fn read(text: &str) -> Element {
    reader().element(text).expect("an element of this file")
}
