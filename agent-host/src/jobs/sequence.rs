//! In which order steps run: level by level, and each behind those without whose output it does not begin.
//!
//! Numbers alone: steps are told by their places. A step that waits for one of a later level runs in that level.

use std::collections::BTreeSet;

/// The places in the order in which they run. Raises levels where steps wait for others of later ones.
///
/// # Errors
/// The places that wait for each other, or for themselves.
pub(super) fn order(levels: &mut [u32], after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    // As many times as the longest chain may have links.
    for _ in 0..levels.len() {
        for (place, parents) in after.iter().enumerate() {
            let latest = parents.iter().map(|parent| levels[*parent]).max().unwrap_or(0);
            levels[place] = levels[place].max(latest);
        }
    }
    let mut left: Vec<usize> = (0..levels.len()).collect();
    left.sort_by_key(|place| levels[*place]);
    let mut ordered = Vec::new();
    while let Some(level) = left.first().map(|place| levels[*place]) {
        let done: BTreeSet<usize> = ordered.iter().copied().collect();
        let is_ready =
            |place: &usize| levels[*place] == level && after[*place].iter().all(|parent| done.contains(parent));
        let (ready, others): (Vec<usize>, Vec<usize>) = left.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(others.into_iter().filter(|place| levels[*place] == level).collect());
        }
        ordered.extend(ready);
        left = others;
    }
    Ok(ordered)
}

/// The places that run together, batch by batch, so many at most: they are of one level, and none waits for another.
pub(super) fn batches<'a>(steps: impl Iterator<Item = (u32, &'a [usize])>, at_once: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<(u32, Vec<usize>)> = Vec::new();
    for (place, (level, after)) in steps.enumerate() {
        match batches.last_mut() {
            Some((of, batch))
                if *of == level && batch.len() < at_once && !after.iter().any(|parent| batch.contains(parent)) =>
            {
                batch.push(place);
            }
            _ => batches.push((level, vec![place])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_by_levels_and_behind_those_they_wait_for() {
        // The third waits for the second, which is of its level; the first for the last, which is of a later one.
        let (mut levels, after) = ([0, 1, 1, 1, 2], [vec![4], vec![], vec![1], vec![], vec![]]);
        assert_eq!(order(&mut levels, &after), Ok(vec![1, 3, 2, 4, 0]));
        assert_eq!(levels, [2, 1, 1, 1, 2]);
        let steps = [(1, &[][..]), (1, &[]), (1, &[0]), (2, &[]), (2, &[3])];
        assert_eq!(batches(steps.into_iter(), 9), [vec![0, 1], vec![2], vec![3], vec![4]]);
        let many = || (0..5).map(|_| (0, &[][..]));
        assert_eq!(batches(many(), 2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(batches(many(), 5), [vec![0, 1, 2, 3, 4]]);
    }

    #[test]
    fn steps_that_wait_for_each_other_are_told() {
        assert_eq!(order(&mut [0, 3, 1], &[vec![], vec![2], vec![1]]), Err(vec![1, 2]));
        assert_eq!(order(&mut [0], &[vec![0]]), Err(vec![0]));
    }
}
