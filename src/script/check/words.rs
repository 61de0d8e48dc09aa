//! Words of other languages that people write in Rhai, and words that Rhai keeps for itself.

/// Words and what Rhai writes instead.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("None", "Rhai writes `()` for nothing"),
    ("True", "Rhai writes `true`"),
    ("False", "Rhai writes `false`"),
    ("and", "Rhai writes `&&`"),
    ("array", "Rhai writes `[1, 2]` for an array"),
    ("class", "Rhai has no classes: use a map `#{ name: value }` and functions"),
    ("console", "use `log::info(text)`"),
    ("def", "Rhai writes `fn name(a) { … }`"),
    ("dict", "Rhai writes `#{ name: value }` for a map"),
    ("elif", "Rhai writes `else if`"),
    ("elseif", "Rhai writes `else if`"),
    ("elsif", "Rhai writes `else if`"),
    ("end", "Rhai closes a block with `}`"),
    ("except", "Rhai writes `catch (error) { … }`"),
    ("foreach", "Rhai writes `for item in list { … }`"),
    ("func", "Rhai writes `fn name(a) { … }`"),
    ("function", "Rhai writes `fn name(a) { … }`, and `|a| …` for one without a name"),
    ("lambda", "Rhai writes `|a| …`"),
    ("local", "Rhai writes `let`"),
    ("nil", "Rhai writes `()` for nothing"),
    ("none", "Rhai writes `()` for nothing"),
    ("not", "Rhai writes `!` before what is not"),
    ("null", "Rhai writes `()` for nothing"),
    ("or", "Rhai writes `||`"),
    ("parseInt", "use `parse_int(text)`"),
    ("pass", "an empty block is `{ }`"),
    ("raise", "Rhai writes `throw`"),
    ("self", "in a handler it is the parameter, such as `m`; in a method it is `this`"),
    ("str", "use `.to_string()`, or a text in backquotes: `${value}`"),
    ("then", "Rhai writes `if condition { … }`"),
    ("undefined", "Rhai writes `()` for nothing"),
    ("unless", "Rhai writes `if !condition { … }`"),
    ("var", "Rhai writes `let`"),
];

/// Reserved words that are often wanted as names of properties, and what is there instead.
pub(super) const RESERVED: &[(&str, &str)] = &[
    ("default", "give it another name, such as `fallback`"),
    ("match", "use `switch value { 1 => …, _ => … }`; groups of an expression are called `caps` here"),
    ("new", "give it another name: Rhai has no `new`"),
    ("nil", "Rhai writes `()` for nothing"),
    ("null", "Rhai writes `()` for nothing"),
    ("public", "everything is public but `private fn`"),
    ("sync", "give it another name"),
    ("async", "nothing waits here: what is slow calls a closure when it is done"),
    ("await", "nothing waits here: what is slow calls a closure when it is done"),
    ("static", "Rhai writes `const`"),
    ("use", "Rhai writes `import \"lib/words\" as words;`"),
    ("var", "Rhai writes `let`"),
    ("void", "a function without a value gives `()`"),
    ("with", "give it another name"),
];

/// A word of another language, and what Rhai has instead.
pub(super) fn foreign(word: &str) -> Option<(&'static str, &'static str)> {
    FOREIGN.iter().copied().find(|(foreign, _)| *foreign == word)
}

/// Functions of other languages, and what they are called here.
pub(super) const SYNONYMS: &[(&str, &str)] = &[
    ("append", "push"),
    ("endsWith", "ends_with"),
    ("forEach", "for_each"),
    ("format", "a text in backquotes: `${value}`"),
    ("includes", "contains"),
    ("indexOf", "index_of"),
    ("int", "parse_int"),
    ("length", "len"),
    ("lenght", "len"),
    ("lower", "to_lower"),
    ("reply_to", "reply"),
    ("send", "bot::send"),
    ("setInterval", "every"),
    ("setTimeout", "timer::after"),
    ("size", "len"),
    ("startsWith", "starts_with"),
    ("strip", "trim"),
    ("substring", "sub_string"),
    ("toLowerCase", "to_lower"),
    ("toString", "to_string"),
    ("toUpperCase", "to_upper"),
    ("upper", "to_upper"),
];

/// What a function of another language is called here.
pub(super) fn synonym(name: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(foreign, _)| *foreign == name).map(|(_, here)| *here)
}
