//! RSA with keys of 1,024 to 2,047 bits, which aws-lc refuses and the vendor's own example makes.
//!
//! Not constant in time: the numbers are raised as they are. That is bearable because values are opened from local
//! files, where nobody can ask a million times; whoever uses such a key is warned. Source: RFC 8017, sections 7 and 9.

use aws_lc_rs::{
    digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256},
    rand,
};
use num_bigint::BigUint;
use secrecy::zeroize::Zeroizing;

use super::{Padding, element};

pub(super) struct WeakKey {
    modulus: BigUint,
    public_exponent: BigUint,
    private_exponent: BigUint,
    bytes: usize,
}

impl WeakKey {
    /// The key of modulus, public and private exponent, each as a big-endian number.
    pub(super) fn new([modulus, public, private]: &[Zeroizing<Vec<u8>>; 3]) -> Self {
        let number = |bytes: &Zeroizing<Vec<u8>>| BigUint::from_bytes_be(bytes);
        let bytes = number(modulus).bits().div_ceil(8);
        Self {
            modulus: number(modulus),
            public_exponent: number(public),
            private_exponent: number(private),
            bytes: usize::try_from(bytes).unwrap_or_default(),
        }
    }

    pub(super) fn public_der(&self) -> Vec<u8> {
        let number = |number: &BigUint| {
            let bytes = number.to_bytes_be();
            // A leading one would make it negative.
            let sign: &[u8] = if bytes.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
            element(2, &[sign, &bytes].concat())
        };
        let key = element(0x30, &[number(&self.modulus).as_slice(), &number(&self.public_exponent)].concat());
        let algorithm = [0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
        let bits = element(3, &[&[0][..], &key].concat());
        element(0x30, &[&algorithm[..], &bits].concat()).to_vec()
    }

    pub(super) fn wrap(&self, key: &[u8]) -> Option<Vec<u8>> {
        let hash = digest::digest(&SHA256, b"");
        let hash = hash.as_ref();
        let mut seed = [0; 32];
        rand::fill(&mut seed).ok()?;
        let zeros = self.bytes.checked_sub(key.len() + 2 * hash.len() + 2)?;
        let mut block = Zeroizing::new([hash, &vec![0; zeros], &[1], key].concat());
        mask(&SHA256, &seed, &mut block);
        mask(&SHA256, &block, &mut seed);
        let padded = Zeroizing::new([&[0][..], &seed, &block].concat());
        let wrapped = BigUint::from_bytes_be(&padded).modpow(&self.public_exponent, &self.modulus).to_bytes_be();
        Some([vec![0; self.bytes - wrapped.len()], wrapped].concat())
    }

    pub(super) fn unwrap(&self, padding: Padding, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let number = BigUint::from_bytes_be(wrapped);
        if number >= self.modulus {
            return None;
        }
        let text = Zeroizing::new(number.modpow(&self.private_exponent, &self.modulus).to_bytes_be());
        let padded = Zeroizing::new([vec![0; self.bytes - text.len()].as_slice(), &text].concat());
        match padding {
            Padding::OaepSha256 => oaep(&SHA256, &padded),
            Padding::OaepSha1 => oaep(&SHA1_FOR_LEGACY_USE_ONLY, &padded),
            Padding::Pkcs1 => {
                let rest = padded.strip_prefix(&[0, 2])?;
                let end = rest.iter().position(|byte| *byte == 0).filter(|end| *end >= 8)?;
                Some(Zeroizing::new(rest[end + 1..].to_vec()))
            }
        }
    }
}

fn oaep(algorithm: &'static Algorithm, padded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let hash = digest::digest(algorithm, b"");
    let (first, rest) = padded.split_first()?;
    let (seed, block) = rest.split_at_checked(hash.as_ref().len())?;
    let (mut seed, mut block) = (Zeroizing::new(seed.to_vec()), Zeroizing::new(block.to_vec()));
    mask(algorithm, &block, &mut seed);
    mask(algorithm, &seed, &mut block);
    let rest = block.strip_prefix(hash.as_ref()).filter(|_| *first == 0)?;
    let end = rest.iter().position(|byte| *byte != 0).filter(|end| rest[*end] == 1)?;
    Some(Zeroizing::new(rest[end + 1..].to_vec()))
}

/// Masks `text` by what MGF1 makes of `seed`.
fn mask(algorithm: &'static Algorithm, seed: &[u8], text: &mut [u8]) {
    for (counter, chunk) in (0u32..).zip(text.chunks_mut(algorithm.output_len())) {
        let sum = digest::digest(algorithm, &[seed, &counter.to_be_bytes()].concat());
        chunk.iter_mut().zip(sum.as_ref()).for_each(|(byte, mask)| *byte ^= mask);
    }
}
