//! What the bot was to say between two inputs, held against what it has said.

use std::ops::Range;

use crate::sim::suite::{Edit, Failure};
use crate::sim::transcript::{self, Step, What};
use crate::sim::world::{Line, Place};

/// Comparisons of one round; beyond it lines are only held against those at the same place in the order.
const PAIRS: usize = 10_000;
/// Lines of one round that are shown.
const SHOWN: usize = 40;

/// A line that the bot has to say.
pub(super) struct Awaited<'a> {
    /// Where it is written.
    pub step: &'a Step,
    /// To whom, as it is written.
    pub to: Option<&'a str>,
    /// The words.
    pub pattern: &'a str,
    /// Where it is said; the place of whatever is said first where nobody has spoken yet.
    pub place: Option<Place>,
}

/// Everything between two inputs.
pub(super) struct Round<'a> {
    input: Option<&'a Step>,
    /// Where a further line would be written.
    end: usize,
    awaited: Vec<Awaited<'a>>,
}

/// One line of the comparison.
enum Pair<'r, 'a> {
    Fits(&'r Awaited<'a>),
    Missing(&'r Awaited<'a>),
    Other(&'r Awaited<'a>, &'r Line),
    Unexpected(&'r Line),
}

impl<'a> Round<'a> {
    pub fn new(input: Option<&'a Step>, end: usize) -> Self {
        Self { input, end, awaited: Vec::new() }
    }

    /// The place has changed on the line before this one.
    pub fn moved(&mut self, end: usize) {
        self.end = end;
    }

    pub fn await_line(&mut self, awaited: Awaited<'a>) {
        self.end = awaited.step.end;
        self.awaited.push(awaited);
    }

    /// A failure that is not about what was said; at the input.
    pub fn unchanged(&self) -> (usize, Failure) {
        let shown = self.context();
        (self.line(), Failure { shown, ..Failure::default() })
    }

    /// What is wrong with what was `heard`. `here` is where `bot:` would be said at the end of the round.
    pub fn failure(&self, heard: Vec<Line>, here: Option<&Place>, domain: &str) -> Option<(usize, Failure)> {
        let mut failure = Failure { shown: self.context(), ..Failure::default() };
        let mut first = None;
        let mut at = self.input.map_or(self.end, |step| step.end);
        if self.awaited.is_empty() {
            at = self.end;
        }
        let mut further: Vec<String> = Vec::new();
        for pair in self.pairs(&heard, &mut failure.why) {
            let (wrong, old, new) = match pair {
                Pair::Fits(awaited) => (None, Some(awaited), None),
                Pair::Missing(awaited) => (Some(awaited.step.line), Some(awaited), None),
                Pair::Other(awaited, line) => (Some(awaited.step.line), Some(awaited), Some(line)),
                Pair::Unexpected(line) => (Some(self.line()), None, Some(line)),
            };
            first = first.or(wrong);
            let said = new.map(|line| {
                let label = match old {
                    Some(old) => label(old.to),
                    None => label(to(&line.place, here, domain).as_deref()),
                };
                transcript::said(&label, &transcript::quoted(&line.text))
            });
            if let Some(old) = old {
                if !further.is_empty() {
                    failure.edits.push(insertion(at, std::mem::take(&mut further)));
                }
                at = old.step.end;
                let written = transcript::said(&label(old.to), old.pattern);
                failure.shown.extend(marked(if wrong.is_some() { "- " } else { "  " }, &written));
            }
            let Some(said) = said else {
                if let Some(old) = old.filter(|_| wrong.is_some()) {
                    failure.edits.push(Edit { lines: old.step.line..old.step.end, text: Vec::new() });
                }
                continue;
            };
            failure.shown.extend(marked("+ ", &said));
            let text: Vec<String> = said.split('\n').map(str::to_owned).collect();
            match old {
                Some(old) => failure.edits.push(Edit { lines: old.step.line..old.step.end, text }),
                None => further.extend(text),
            }
        }
        if !further.is_empty() {
            failure.edits.push(insertion(at, further));
        }
        if failure.shown.len() > SHOWN {
            let more = failure.shown.len() - SHOWN;
            failure.shown.truncate(SHOWN);
            failure.shown.push(format!("  … and {more} more lines"));
        }
        first.map(|line| (line, failure))
    }

    fn line(&self) -> usize {
        self.input.map_or(self.end.saturating_sub(1), |step| step.line)
    }

    /// What happened before.
    fn context(&self) -> Vec<String> {
        match self.input.map(|step| &step.what) {
            Some(What::Says { who, text }) => marked("  ", &transcript::said(who, text)),
            Some(What::Do(direction)) => vec![format!("  * {direction}")],
            Some(What::Expect { .. } | What::Place(_)) | None => Vec::new(),
        }
    }

    /// Holds the lines of each place against each other, in their order.
    fn pairs<'r>(&'r self, heard: &'r [Line], why: &mut Vec<String>) -> Vec<Pair<'r, 'a>> {
        let open = heard.first().map(|line| &line.place);
        let place = |awaited: &'r Awaited<'a>| awaited.place.as_ref().or(open);
        let mut pairs = Vec::new();
        let mut places: Vec<Option<&Place>> = Vec::new();
        for found in self.awaited.iter().map(place).chain(heard.iter().map(|line| Some(&line.place))) {
            if !places.contains(&found) {
                places.push(found);
            }
        }
        for here in places {
            let awaited: Vec<_> = self.awaited.iter().filter(|awaited| place(awaited) == here).collect();
            let said: Vec<_> = heard.iter().filter(|line| Some(&line.place) == here).collect();
            aligned(&awaited, &said, why, &mut pairs);
        }
        pairs
    }
}

/// The longest run of lines that fit, with what lies between them.
fn aligned<'r, 'a>(
    awaited: &[&'r Awaited<'a>],
    said: &[&'r Line],
    why: &mut Vec<String>,
    pairs: &mut Vec<Pair<'r, 'a>>,
) {
    let mut fits = |awaited: &Awaited<'_>, line: &Line| match transcript::fits(awaited.pattern, &line.text) {
        Ok(fits) => fits,
        Err(error) => {
            let told = format!("line {}: {error}", awaited.step.line);
            if !why.contains(&told) {
                why.push(told);
            }
            false
        }
    };
    let same = awaited.iter().zip(said).take_while(|(awaited, line)| fits(awaited, line)).count();
    pairs.extend(awaited[..same].iter().map(|awaited| Pair::Fits(awaited)));
    let (awaited, said) = (&awaited[same..], &said[same..]);
    let mut common = Vec::new();
    if awaited.len() * said.len() <= PAIRS {
        common = longest(awaited.len(), said.len(), |old, new| fits(awaited[old], said[new]));
    }
    common.push((awaited.len(), said.len()));
    let (mut old, mut new) = (0, 0);
    for (next_old, next_new) in common {
        between(&awaited[old..next_old], &said[new..next_new], pairs);
        if next_old < awaited.len() {
            pairs.push(Pair::Fits(awaited[next_old]));
        }
        (old, new) = (next_old + 1, next_new + 1);
    }
}

/// Lines none of which fits: one against one, then what is left.
fn between<'r, 'a>(awaited: &[&'r Awaited<'a>], said: &[&'r Line], pairs: &mut Vec<Pair<'r, 'a>>) {
    let both = awaited.len().min(said.len());
    pairs.extend(awaited.iter().zip(said).map(|(awaited, line)| Pair::Other(awaited, line)));
    pairs.extend(awaited[both..].iter().map(|awaited| Pair::Missing(awaited)));
    pairs.extend(said[both..].iter().map(|line| Pair::Unexpected(line)));
}

/// The longest common subsequence, as indices into both.
fn longest(old: usize, new: usize, mut same: impl FnMut(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let table: Vec<Vec<bool>> = (0..old).map(|i| (0..new).map(|j| same(i, j)).collect()).collect();
    let mut length = vec![vec![0_usize; new + 1]; old + 1];
    for i in (0..old).rev() {
        for j in (0..new).rev() {
            let skip = length[i + 1][j].max(length[i][j + 1]);
            length[i][j] = if table[i][j] { length[i + 1][j + 1] + 1 } else { skip };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old && j < new {
        if table[i][j] {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

fn label(to: Option<&str>) -> String {
    to.map_or_else(|| "bot".to_owned(), |to| format!("bot → {to}"))
}

/// Whom a line names that is said elsewhere than here.
fn to(place: &Place, here: Option<&Place>, domain: &str) -> Option<String> {
    if here.is_none_or(|here| here == place) {
        return None;
    }
    let (Place::Direct(jid) | Place::Room(jid)) = place;
    let near = jid.local().filter(|_| jid.domain() == domain);
    Some(near.map_or_else(|| jid.to_string(), str::to_owned))
}

fn marked(mark: &str, text: &str) -> Vec<String> {
    text.split('\n').map(|line| format!("{mark}{line}")).collect()
}

fn insertion(at: usize, text: Vec<String>) -> Edit {
    let lines: Range<usize> = at..at;
    Edit { lines, text }
}
