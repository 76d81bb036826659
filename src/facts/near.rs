//! Which known name was probably meant by one that is not known.

/// The candidate that was probably meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(&lower, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= word.chars().count().max(c.chars().count()) / 3 || (*distance == 1 && word.len() > 1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// What makes another word of a word, often its opposite.
const PREFIXES: &[&str] = &["", "de", "dis", "en", "in", "ir", "no", "non", "re", "un"];

/// True if two words differ by what stands before them alone: `activate`, `deactivate`. Either may be meant.
pub fn differ_by_prefix(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let same = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count();
    PREFIXES.iter().any(|prefix| {
        let Some(rest) = one.strip_prefix(prefix) else { return false };
        let head = other.strip_suffix(rest);
        same >= 4 && head.is_some_and(|head| head != *prefix && PREFIXES.contains(&head))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_makes_another_word() {
        for (one, other) in [("reactivate", "deactivate"), ("reversible", "irreversible"), ("NoRecovery", "RECOVERY")] {
            assert!(differ_by_prefix(one, other) && differ_by_prefix(other, one), "{one} {other}");
        }
        for (one, other) in [("activte", "activate"), ("copy_backup", "copy_backups"), ("noet", "note"), ("same", "same")] {
            assert!(!differ_by_prefix(one, other), "{one} {other}");
        }
    }
}
