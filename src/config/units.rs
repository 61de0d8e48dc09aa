//! Amounts with their unit as operators write them: `1h30m`, `2/s`, `4MiB`, `200k`.

use std::time::Duration;

use crate::config::settings::Rate;

/// What is wrong with an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not of this form at all.
    Form,
    /// More than the type can hold.
    TooLarge,
    /// A number without its unit.
    Unitless,
}

/// `50ms`, `5m`, `1h30m`, `2d`: numbers with `ms`, `s`, `m`, `h`, `d`, each unit once and in
/// falling order. Whole numbers only: write `1m30s`, not `1.5m`.
pub fn duration(text: &str) -> Result<Duration, AmountError> {
    if is_number(text) {
        return Err(AmountError::Unitless);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut ceiling = u64::MAX;
    while !rest.is_empty() {
        let (count, behind) = leading_number(rest)?;
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(AmountError::Form),
        };
        if millis >= ceiling {
            return Err(AmountError::Form);
        }
        ceiling = millis;
        let part = count.checked_mul(millis).map(Duration::from_millis).ok_or(AmountError::TooLarge)?;
        total = total.checked_add(part).ok_or(AmountError::TooLarge)?;
        rest = next;
    }
    if text.is_empty() { Err(AmountError::Form) } else { Ok(total) }
}

/// `2/s`, `30/m`, `5/10s`: a count of at least 1 per unit or duration.
pub fn rate(text: &str) -> Result<Rate, AmountError> {
    if is_number(text) {
        return Err(AmountError::Unitless);
    }
    let (count, per) = text.split_once('/').ok_or(AmountError::Form)?;
    let per = match per.trim() {
        unit @ ("s" | "m" | "h" | "d") => duration(&format!("1{unit}"))?,
        period => duration(period)?,
    };
    let (count, rest) = leading_number(count.trim())?;
    if !rest.is_empty() || count == 0 || per.is_zero() {
        return Err(AmountError::Form);
    }
    Ok(Rate { count: count.try_into().map_err(|_| AmountError::TooLarge)?, per })
}

/// `512B`, `64KiB`, `4MiB`, `1GiB`, and with powers of ten `kB`, `MB`, `GB`: bytes.
pub fn size(text: &str) -> Result<u64, AmountError> {
    if is_number(text) {
        return Err(AmountError::Unitless);
    }
    let (count, unit) = leading_number(text)?;
    let factor = match unit.trim_start() {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(AmountError::Form),
    };
    count.checked_mul(factor).ok_or(AmountError::TooLarge)
}

/// `1000`, `200k`, `5M`: a plain count.
pub fn count(text: &str) -> Result<u64, AmountError> {
    let (count, unit) = leading_number(text)?;
    let factor = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        _ => return Err(AmountError::Form),
    };
    count.checked_mul(factor).ok_or(AmountError::TooLarge)
}

/// A duration as it would be written: `1h30m`, `0s`.
pub fn show_duration(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= length {
            text.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A size as it would be written: `4MiB`.
pub fn show_size(bytes: u64) -> String {
    for (unit, length) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

/// A count as it would be written: `200k`.
pub fn show_count(count: u64) -> String {
    match count {
        0 => "0".to_owned(),
        _ if count.is_multiple_of(1_000_000) => format!("{}M", count / 1_000_000),
        _ if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn leading_number(text: &str) -> Result<(u64, &str), AmountError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err(AmountError::Form);
    }
    Ok((number.parse().map_err(|_| AmountError::TooLarge)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_units() {
        for (text, millis) in
            [("50ms", 50), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_bare_number_asks_for_its_unit() {
        assert_eq!(duration("5"), Err(AmountError::Unitless));
        assert_eq!(duration("1.5"), Err(AmountError::Unitless));
        assert_eq!(rate("2"), Err(AmountError::Unitless));
        assert_eq!(size("4096"), Err(AmountError::Unitless));
    }

    #[test]
    fn refuses_other_forms() {
        for text in ["", "m", "5x", "5m5m", "5s1m", "-5s", "1.5m", "5 m", "5m ", "٥m"] {
            assert_eq!(duration(text), Err(AmountError::Form), "{text}");
        }
        for text in ["", "/s", "2/", "2/x", "0/s", "2/0s", "2//s", "two/s"] {
            assert_eq!(rate(text), Err(AmountError::Form), "{text}");
        }
        for text in ["", "MiB", "4Mib", "4M", "-4MiB"] {
            assert_eq!(size(text), Err(AmountError::Form), "{text}");
        }
    }

    #[test]
    fn rates_have_a_count_and_a_period() {
        assert_eq!(rate("2/s"), Ok(Rate { count: 2, per: Duration::from_secs(1) }));
        assert_eq!(rate("30/m"), Ok(Rate { count: 30, per: Duration::from_secs(60) }));
        assert_eq!(rate("5/10s"), Ok(Rate { count: 5, per: Duration::from_secs(10) }));
    }

    #[test]
    fn sizes_and_counts_have_factors() {
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert_eq!(size("64 kB"), Ok(64_000));
        assert_eq!(count("200k"), Ok(200_000));
        assert_eq!(count("1000"), Ok(1_000));
        assert_eq!(show_size(4 << 20), "4MiB");
        assert_eq!(show_count(200_000), "200k");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(duration("99999999999999999999d"), Err(AmountError::TooLarge));
        assert_eq!(duration("18446744073709551615d"), Err(AmountError::TooLarge));
        assert_eq!(size("18446744073709551615GiB"), Err(AmountError::TooLarge));
        assert_eq!(rate("4294967296/s"), Err(AmountError::TooLarge));
    }
}
