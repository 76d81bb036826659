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
