//! Tells addresses of the public internet from those of special purpose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 addresses of special purpose that must not be reached from outside, by prefix and its
/// length in bits (IANA, IPv4 Special-Purpose Address Registry; multicast: RFC 5771).
const SPECIAL_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "a private network"),
    ([100, 64, 0, 0], 10, "a carrier's network"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([169, 254, 0, 0], 16, "the local link"),
    ([172, 16, 0, 0], 12, "a private network"),
    ([192, 0, 0, 0], 24, "protocols"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "6to4 relays"),
    ([192, 168, 0, 0], 16, "a private network"),
    ([198, 18, 0, 0], 15, "benchmarks"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "future use"),
];

/// The same for IPv6 (IANA, IPv6 Special-Purpose Address Registry). Addresses outside of `2000::/3`
/// are not allocated; `special_v6` refuses them without a line here.
const SPECIAL_V6: &[([u16; 3], u32, &str)] = &[
    ([0x2001, 0, 0], 23, "protocols"),
    ([0x2001, 0xdb8, 0], 32, "documentation"),
    ([0x3fff, 0, 0], 20, "documentation"),
];

/// The purpose of an address; `None` when it belongs to the public internet.
///
/// An IPv6 address that carries an IPv4 address inside (RFC 4291 mapped, RFC 6052 NAT64, RFC 3056
/// 6to4) has the purpose of that one.
///
/// ```
/// use avocet_engine::special_purpose;
///
/// assert_eq!(special_purpose("127.0.0.1".parse().unwrap()), Some("this machine"));
/// assert_eq!(special_purpose("::ffff:10.1.2.3".parse().unwrap()), Some("a private network"));
/// assert_eq!(special_purpose("8.8.8.8".parse().unwrap()), None);
/// ```
pub fn special_purpose(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let number = u32::from(address);
    let holds = |&(prefix, bits, _): &([u8; 4], u32, &str)| {
        (number ^ u32::from_be_bytes(prefix)).leading_zeros() >= bits
    };
    SPECIAL_V4.iter().copied().find(holds).map(|(.., purpose)| purpose)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some("this network"),
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some("this machine"),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            return special_v4(v4(high, low));
        }
        [0x2002, high, low, ..] => return special_v4(v4(high, low)),
        [0xfc00..=0xfdff, ..] => return Some("a private network"),
        [0xfe80..=0xfebf, ..] => return Some("the local link"),
        [0xff00..=0xffff, ..] => return Some("multicast"),
        [first, ..] if first >> 13 != 1 => return Some("future use"),
        _ => {}
    }
    let number = u64::from(parts[0]) << 32 | u64::from(parts[1]) << 16 | u64::from(parts[2]);
    let holds = |&([a, b, c], bits, _): &([u16; 3], u32, &str)| {
        let prefix = u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c);
        (number ^ prefix).leading_zeros() >= bits + 16
    };
    SPECIAL_V6.iter().copied().find(holds).map(|(.., purpose)| purpose)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn special(address: &str) -> bool {
        special_purpose(address.parse().unwrap()).is_some()
    }

    #[test]
    fn the_ends_of_ranges_are_told_apart() {
        let check = |inside: &[&str], outside: &[&str]| {
            for address in inside {
                assert!(special(address), "{address}");
            }
            for address in outside {
                assert!(!special(address), "{address}");
            }
        };
        check(&["0.0.0.0", "0.255.255.255"], &["1.0.0.0"]);
        check(&["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]);
        check(&["100.64.0.0", "100.127.255.255"], &["100.63.255.255", "100.128.0.0"]);
        check(&["127.0.0.0", "127.255.255.255"], &["126.255.255.255", "128.0.0.0"]);
        check(&["169.254.0.0", "169.254.169.254"], &["169.253.255.255", "169.255.0.0"]);
        check(&["172.16.0.0", "172.31.255.255"], &["172.15.255.255", "172.32.0.0"]);
        check(&["192.0.0.0", "192.0.0.170", "192.0.2.255"], &["191.255.255.255", "192.0.1.0"]);
        check(&["192.88.99.1", "192.168.0.0", "192.168.255.255"], &["192.167.255.255"]);
        check(&["198.18.0.0", "198.19.255.255", "198.51.100.7"], &["198.17.255.255", "198.20.0.0"]);
        check(
            &["203.0.113.1", "224.0.0.1", "239.255.255.255"],
            &["203.0.114.0", "223.255.255.255"],
        );
        check(&["240.0.0.0", "255.255.255.255"], &[]);
        check(&["::", "::1", "::2", "::7f00:1", "::ffff:127.0.0.1"], &["::ffff:8.8.8.8"]);
        check(&["::ffff:0:127.0.0.1", "100::1", "64:ff9b:1::8.8.8.8", "5f00::1"], &[]);
        check(&["64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254"], &["64:ff9b::8.8.8.8"]);
        check(&["2002:7f00:1::", "2002:a00:1::1"], &["2002:808:808::1"]);
        check(
            &["2001::1", "2001:1ff:ffff::", "2001:db8::1", "3fff::1", "3fff:fff::"],
            &["2001:200::"],
        );
        check(&["fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1"], &["2606:4700::1111"]);
    }

    proptest! {
        #[test]
        fn wrapping_changes_nothing(number: u32) {
            let address = Ipv4Addr::from(number);
            let purpose = special_purpose(address.into());
            let [a, b, c, d] = address.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for wrapped in [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x2002, high, low, 1, 2, 3, 4, 5],
            ] {
                prop_assert_eq!(special_purpose(Ipv6Addr::from(wrapped).into()), purpose);
            }
        }

        #[test]
        fn what_the_standard_library_calls_special_is_special(number: u32, large: u128) {
            let four = Ipv4Addr::from(number);
            let known = four.is_private() || four.is_loopback() || four.is_link_local()
                || four.is_multicast() || four.is_broadcast() || four.is_documentation()
                || four.is_unspecified();
            prop_assert!(!known || special_purpose(four.into()).is_some());
            let six = Ipv6Addr::from(large);
            let known = six.is_loopback() || six.is_multicast() || six.is_unique_local()
                || six.is_unicast_link_local() || six.is_unspecified();
            prop_assert!(!known || special_purpose(six.into()).is_some());
        }
    }
}
