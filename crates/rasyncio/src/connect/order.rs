//! In which order addresses are tried.

/// Sorts addresses so that families alternate (asyncio's `interleave`, RFC 8305): first
/// `first_count` of the family that comes first, then one of each in turn. Within a family the
/// order stays.
///
/// ```
/// use rasyncio::connect::interleave;
///
/// let addresses = ["6a", "6b", "6c", "4a", "4b"];
/// let family = |address: &&str| address.as_bytes()[0];
/// assert_eq!(interleave(addresses, family, 1), ["6a", "4a", "6b", "4b", "6c"]);
/// assert_eq!(interleave(addresses, family, 2), ["6a", "6b", "4a", "6c", "4b"]);
/// ```
pub fn interleave<T, F: PartialEq>(
    addresses: impl IntoIterator<Item = T>,
    family: impl Fn(&T) -> F,
    first_count: usize,
) -> Vec<T> {
    // In the order in which families appear. There are two or three.
    let mut families: Vec<(F, std::collections::VecDeque<T>)> = Vec::new();
    let mut count = 0;
    for address in addresses {
        count += 1;
        let kind = family(&address);
        match families.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, list)) => list.push_back(address),
            None => families.push((kind, [address].into())),
        }
    }
    let mut sorted = Vec::with_capacity(count);
    if let Some((_, first)) = families.first_mut() {
        let ahead = first_count.saturating_sub(1).min(first.len());
        sorted.extend(first.drain(..ahead));
    }
    while sorted.len() < count {
        sorted.extend(families.iter_mut().filter_map(|(_, list)| list.pop_front()));
    }
    sorted
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn mixed(numbers: &[u32], first: usize) -> Vec<u32> {
        interleave(numbers.iter().copied(), |number| number / 10, first)
    }

    #[test]
    fn families_alternate() {
        assert_eq!(mixed(&[11, 12, 21, 22, 31], 1), [11, 21, 31, 12, 22]);
        assert_eq!(mixed(&[11, 12, 13, 21], 3), [11, 12, 13, 21]);
        assert_eq!(mixed(&[11, 21], 9), [11, 21]);
        assert_eq!(mixed(&[11, 12], 0), [11, 12]);
        assert!(mixed(&[], 1).is_empty());
    }
}
