//! `profile`: what a bot tells of itself, with its picture, which is looked at here.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::config::decode::Decoder;
use crate::config::secrets::io_words;
use crate::config::settings::{Picture, Profile};
use crate::config::yaml::Node;
use crate::diagnostic::Diagnostic;

/// Bytes of the largest picture: as text it has to fit into one stanza of any server, and everybody fetches it.
const LARGEST: u64 = 64 * 1024;
/// Pixels of its longer side.
const WIDEST: u32 = 1024;
/// Bytes of the longest text.
const LONGEST: usize = 1000;

/// Reads the map.
pub fn profile(decoder: &mut Decoder, node: &Node, folder: &Path) -> Profile {
    let mut profile = Profile::default();
    if !decoder.map(node, "profile") {
        return profile;
    }
    let mut text = |key: &str| node.get(key).and_then(|it| line(decoder, &it.value, key));
    profile.name = text("name");
    profile.nick = text("nick");
    profile.about = text("about");
    profile.url = text("url");
    profile.avatar = node.get("avatar").and_then(|it| avatar(decoder, &it.value, folder));
    profile
}

fn line(decoder: &mut Decoder, node: &Node, key: &str) -> Option<String> {
    let text = decoder.text(node, &format!("`{key}`"))?.trim().to_owned();
    if text.is_empty() {
        return None;
    }
    let problem = if text.len() > LONGEST {
        format!("`{key}` has at most {LONGEST} bytes")
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        format!("`{key}` holds a control character")
    } else {
        return Some(text);
    };
    decoder.report(Diagnostic::error("config::range", problem), node, "this text");
    None
}

fn avatar(decoder: &mut Decoder, node: &Node, folder: &Path) -> Option<Picture> {
    let path = decoder.text(node, "`avatar`")?.to_owned();
    match read(&folder.join(&path)).and_then(png) {
        Ok(picture) => Some(picture),
        Err((problem, hint)) => {
            let found = Diagnostic::error("config::file", format!("{path}: {problem}"));
            decoder.report(found.hint_if(hint.map(str::to_owned)), node, "this picture");
            None
        }
    }
}

type Problem = (String, Option<&'static str>);

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: std::io::Error| (io_words(&error), None);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|it| !it.is_file()) {
        return Err(("is no file".to_owned(), None));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        let hint = "a picture of 192 × 192 pixels is enough for every client";
        return Err((format!("is larger than {} KiB", LARGEST / 1024), Some(hint)));
    }
    Ok(bytes)
}

/// Reads the size of a PNG file (ISO/IEC 15948 §5 and §11.2.2) whose chunks are whole.
fn png(bytes: Vec<u8>) -> Result<Picture, Problem> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let no_png = || ("is no PNG picture".to_owned(), Some("avatars are PNG (XEP-0084): convert it"));
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(no_png)?;
    let mut size = None;
    loop {
        let (head, behind) = rest.split_at_checked(8).ok_or_else(cut_off)?;
        let length = number(&head[..4]) as usize;
        let (body, behind) = behind.split_at_checked(length).ok_or_else(cut_off)?;
        // Each chunk ends in four bytes of a checksum.
        let (_, behind) = behind.split_at_checked(4).ok_or_else(cut_off)?;
        match (&head[4..], size) {
            (b"IHDR", None) if length == 13 => size = Some((number(&body[..4]), number(&body[4..8]))),
            (_, None) => return Err(no_png()),
            (b"IEND", Some((width, height))) => {
                if !(1..=WIDEST).contains(&width) || !(1..=WIDEST).contains(&height) {
                    let problem =
                        format!("is {width} × {height} pixels; at most {WIDEST} × {WIDEST} are taken");
                    return Err((problem, None));
                }
                return Ok(Picture { bytes: Arc::from(bytes), width, height });
            }
            (_, Some(_)) => {}
        }
        rest = behind;
    }
}

fn cut_off() -> Problem {
    ("is cut off".to_owned(), None)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_only_whole_png_pictures_of_bearable_size_are_taken() {
        let whole = picture(48, 32);
        let read = png(whole.clone()).expect("a picture");
        assert_eq!((read.width, read.height, read.bytes.len()), (48, 32, whole.len()));
        for end in 0..whole.len() {
            assert!(png(whole[..end].to_vec()).is_err(), "{end} bytes");
        }
        let problem = |bytes: Vec<u8>| png(bytes).expect_err("refused").0;
        assert_eq!(problem(b"\xff\xd8\xff\xe0 a JPEG".to_vec()), "is no PNG picture");
        assert_eq!(problem(picture(0, 32)), "is 0 × 32 pixels; at most 1024 × 1024 are taken");
        assert!(problem(picture(48, u32::MAX)).starts_with("is 48 × 4294967295 pixels"));
        let mut lying = whole;
        lying[8..12].copy_from_slice(&[0xff; 4]);
        assert_eq!(problem(lying), "is cut off");
    }

    fn picture(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
        for (name, body) in [(b"IHDR", header.as_slice()), (b"IDAT", &[1, 2, 3]), (b"IEND", &[])] {
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend(name);
            bytes.extend(body);
            bytes.extend([0; 4]);
        }
        bytes
    }
}
