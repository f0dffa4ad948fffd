//! Services that register, and those that look for them.

use bellwether_client::recipes as rust;
use pyo3::prelude::*;
use std::sync::Mutex;

use super::values::{Instance, health_of};
use super::{At, Owned, lasting, let_go, over_and_done, pair, stream};
use crate::bridge::both;
use crate::errors::{At as _, Trouble};
use crate::values::{Bytes, Give as _};
use crate::watch::Closable;
use crate::worker::{Held, Worker, locked};

/// A registration, and what was registered last.
pub(crate) struct Listed {
    owned: Owned<rust::Registration>,
    instance: Mutex<Instance>,
}

impl Listed {
    async fn change(
        &self,
        change: impl AsyncFnOnce(&mut rust::Registration) -> Result<(), bellwether_client::Error>,
    ) -> Result<(), Trouble> {
        let changed = self.owned.change(async |inner| {
            change(inner).await?;
            *locked(&self.instance) = inner.instance().clone().into();
            Ok::<(), bellwether_client::Error>(())
        });
        Ok(changed.await.ok_or_else(over_and_done)??)
    }
}

/// The instances of a service, whenever they change.
pub(crate) struct Instances(rust::DiscoveryWatch);

impl Instances {
    async fn next(&mut self) -> Result<Vec<Instance>, Trouble> {
        Ok(self.0.next().await?.into_iter().map(Instance::from).collect())
    }
}

pair! {
    /// Where services are registered, as Curator's service discovery stores them.
    ///
    /// client: whose session registers. base: the path with a node for each service.
    Registry, AsyncRegistry over At<rust::Registry>;

    /// An instance that is registered. The end of a `with` block ends that; one that is dropped is
    /// unregistered in the background.
    Registration, AsyncRegistration over Listed;

    /// Follows the instances of a service and chooses among them.
    Discovery, AsyncDiscovery over Owned<rust::Discovery>;

    /// The instances of a service: an iterator of lists of Instance, in the order of ids, whenever
    /// something changes. It ends when it, the Discovery or the client is closed.
    DiscoveryWatch, AsyncDiscoveryWatch over Closable<Instances>;
}

/// An instance in use by this process: say how it went. The end of a `with` block, or dropping it,
/// ends the use and says nothing.
#[pyclass(frozen, module = "bellwether.recipes")]
pub(crate) struct Choice {
    instance: Instance,
    /// `None` once the use has ended.
    used: Held<Mutex<Option<rust::Choice>>>,
}

impl Choice {
    fn begin(choice: rust::Choice, worker: &'static Worker) -> Choice {
        let instance = choice.instance.clone().into();
        Choice { instance, used: Held::new(worker, Mutex::new(Some(choice))) }
    }

    fn end(&self, with: impl FnOnce(rust::Choice)) -> PyResult<()> {
        let choice = locked(self.used.get()?).take();
        if let Some(choice) = choice {
            with(choice);
        }
        Ok(())
    }
}

#[pymethods]
impl Choice {
    /// The instance.
    #[getter]
    fn instance(&self) -> Instance {
        self.instance.clone()
    }

    /// It answered: failures are forgotten. The use has ended.
    fn succeeded(&self) -> PyResult<()> {
        self.end(rust::Choice::succeeded)
    }

    /// It did not answer: this process passes it over for a second, longer with each failure in a
    /// row, up to a minute. The use has ended.
    fn failed(&self) -> PyResult<()> {
        self.end(rust::Choice::failed)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.end(drop)
    }
}

both! {
    impl Registry, AsyncRegistry for At<rust::Registry>;

    new {
        fn new(client, base) {
            Ok(rust::Registry::new(client, base))
        }
    }

    both {
        /// Registers an instance and gives a Registration, which lasts until it is ended or the
        /// session ends.
        ///
        /// Raises NodeExistsError (another has this id), BadArgumentsError.
        enter fn register(registry, service: String, instance: Instance) {
            let instance = instance.to_core()?;
            let made = registry.recipe.register(&service, instance).await.at(&registry.path)?;
            let instance = Mutex::new(made.instance().clone().into());
            Ok(Listed { owned: Owned::new(made), instance })
        }

        /// The services that have ever had an instance.
        brief fn services(registry) {
            registry.recipe.services().await.at(&registry.path)
        }

        /// Follows the instances of a service: a Discovery.
        enter fn discover(registry, service: String) {
            Ok(Owned::new(registry.recipe.discover(&service).await.at(&registry.path)?))
        }
    }
    each {}
    sync {}
    asyncio {}
}

lasting! {
    impl Registration, AsyncRegistration for Listed, until unregister;

    both {
        /// Says something else of its health: "up", "draining" or "down".
        ///
        /// Raises NoNodeError (somebody has deleted it), ClosedError (it was unregistered).
        brief fn set_health(listed, health: String) {
            let health = health_of(&health)?;
            listed.change(async |inner| inner.set_health(health).await).await
        }

        /// Registers something else under the same id.
        ///
        /// Raises NoNodeError (somebody has deleted it), ClosedError (it was unregistered).
        brief fn update(listed, instance: Instance) {
            let instance = instance.to_core()?;
            listed.change(async |inner| inner.update(instance).await).await
        }

        /// Ends the registration, and waits until nobody is told of it any more; without a
        /// connection, until there is one or the session is over. Done twice it is no error.
        brief fn unregister(listed) {
            match listed.owned.end().await {
                Some(inner) => let_go(inner.unregister().await),
                None => Ok(()),
            }
        }
    }

    each {
        /// What is registered.
        #[getter]
        fn instance(&self) -> PyResult<Instance> {
            Ok(locked(&self.0.held.get()?.instance).clone())
        }
    }
    sync {}
    asyncio {}
}

lasting! {
    impl Discovery, AsyncDiscovery for Owned<rust::Discovery>, until close;

    both {
        /// Follows no more.
        brief fn close(discovery) {
            drop(discovery.end().await);
            Ok(())
        }
    }

    each {
        /// All instances, in the order of ids, at once, from memory.
        ///
        /// Raises ClosedError.
        fn instances(&self, py: Python<'_>) -> PyResult<Vec<Instance>> {
            let all = self.0.held.get()?.glance(rust::Discovery::instances);
            let all = all.ok_or_else(|| over_and_done().into_exception(py))?;
            Ok(all.into_iter().map(Instance::from).collect())
        }

        /// Chooses the less busy of two that chance picks, by what this process has running there
        /// for their weight, of those that are up and have not failed lately: a Choice; None if
        /// there is none.
        ///
        /// Raises ClosedError.
        fn choose(&self, py: Python<'_>) -> PyResult<Option<Choice>> {
            let chosen = self.0.held.get()?.glance(rust::Discovery::choose);
            let chosen = chosen.ok_or_else(|| over_and_done().into_exception(py))?;
            Ok(chosen.map(|chosen| Choice::begin(chosen, self.0.held.worker)))
        }

        /// Chooses the instance for a key: the same one for the same key, as long as it is there,
        /// and an even share of the keys by weight; None if there is none.
        ///
        /// Raises ClosedError.
        fn choose_for(&self, py: Python<'_>, key: Bytes) -> PyResult<Option<Choice>> {
            let chosen = self.0.held.get()?.glance(|discovery| discovery.choose_for(&key.0));
            let chosen = chosen.ok_or_else(|| over_and_done().into_exception(py))?;
            Ok(chosen.map(|chosen| Choice::begin(chosen, self.0.held.worker)))
        }

        /// Follows the instances.
        ///
        /// Raises ClosedError.
        fn watch(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            let watch = self.0.held.get()?.glance(rust::Discovery::watch);
            let watch = watch.ok_or_else(|| over_and_done().into_exception(py))?;
            Closable::new(Instances(watch)).give(py, &self.0.side)
        }
    }
    sync {}
    asyncio {}
}

stream! {
    impl DiscoveryWatch, AsyncDiscoveryWatch for Instances;
    /// Waits until the instances are not what was told last and gives all of them: a list of
    /// Instance. timeout: at most so many seconds.
    ///
    /// Raises TimeoutError, ClosedError, SessionExpiredError.
    next;
}
