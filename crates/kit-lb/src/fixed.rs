//! A set that never changes.

use kit_base::{Instance, Instancer, Publisher, Subscription};

use crate::record::now;

/// A fixed set of instances. Go kit: `FixedInstancer`.
///
/// ```
/// use kit_base::Instancer;
/// use kit_lb::Fixed;
///
/// let fixed = Fixed::at(["10.0.0.7:8081", "10.0.0.8:8081"]);
/// assert!(format!("{:?}", fixed.subscribe().current()).contains("10.0.0.8:8081"));
/// ```
#[doc(alias = "FixedInstancer")]
#[derive(Clone, Debug)]
pub struct Fixed {
    cell: Publisher,
}

impl Fixed {
    /// These instances. Of several with one id the last one counts.
    pub fn new(instances: impl IntoIterator<Item = Instance>) -> Self {
        let cell = Publisher::new();
        cell.publish(instances.into_iter().collect(), now());
        Self { cell }
    }

    /// The instances at these addresses, which are their ids too.
    pub fn at<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self::new(addresses.into_iter().map(|address| {
            let address = address.into();
            Instance::new(address.clone(), address)
        }))
    }
}

impl Instancer for Fixed {
    fn subscribe(&self) -> Subscription {
        self.cell.subscribe()
    }
}
