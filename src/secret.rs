//! Passwords: wiped when dropped, never printed.

use std::fmt;

use zeroize::Zeroize;

/// A password as its owner typed it. It has no `Display`, its `Debug` shows nothing of it, and its
/// memory is wiped when the value goes.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes over the text; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Call it where the secret is used, not before.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl PartialEq for Password {
    /// Compares in a time that does not tell how much agrees.
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Password {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_password() {
        let shown = format!("{:?}", Password::new("pencil".to_owned()));
        assert_eq!(shown, "Password(hidden)");
    }

    #[test]
    fn equal_passwords_are_equal() {
        assert_eq!(Password::new("a".to_owned()), Password::new("a".to_owned()));
        assert_ne!(Password::new("a".to_owned()), Password::new("ab".to_owned()));
    }
}
