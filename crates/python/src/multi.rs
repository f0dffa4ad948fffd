//! Several operations in one request: values that are filled in, and given to a client. A `Multi`
//! is a transaction of writes; a `MultiRead` is reads, each with a result of its own.

use bellwether_client as core;
use pyo3::prelude::*;
use std::sync::Mutex;

use crate::bridge::Side;
use crate::client::{NewNode, mode_of};
use crate::errors::Trouble;
use crate::values::{Acl, Bytes, Created, Give, Stat};
use crate::worker::locked;

/// Several writes that happen all or not at all, under one transaction id.
///
/// It belongs to no client: fill it in, and give it to `commit` of one. Each method adds an
/// operation and returns the same object, so that calls can be chained. It may be committed
/// repeatedly.
#[pyclass(frozen, module = "bellwether")]
#[derive(Default)]
pub(crate) struct Multi(Mutex<Operations>);

/// The operations, and the paths that they name.
#[derive(Clone, Default)]
pub(crate) struct Operations {
    pub(crate) multi: core::Multi,
    pub(crate) paths: Vec<String>,
}

impl Multi {
    pub(crate) fn operations(&self) -> Operations {
        locked(&self.0).clone()
    }

    fn add(&self, path: String, add: impl FnOnce(core::Multi) -> core::Multi) {
        let mut operations = locked(&self.0);
        operations.paths.push(path);
        operations.multi = add(std::mem::take(&mut operations.multi));
    }
}

#[pymethods]
impl Multi {
    #[new]
    fn new() -> Multi {
        Multi::default()
    }

    /// Adds the creation of a node. The arguments are those of `Client.create`; its result is a
    /// `Created`.
    #[pyo3(signature = (
        path, data=Bytes(Vec::new()), *, ephemeral=false, sequential=false, container=false, ttl=None, acl=None
    ), text_signature = "($self, path, data=b\"\", *, ephemeral=False, sequential=False, container=False, ttl=None, acl=None)")]
    fn create(
        slf: Py<Self>,
        py: Python<'_>,
        path: String,
        data: Bytes,
        ephemeral: bool,
        sequential: bool,
        container: bool,
        ttl: Option<f64>,
        acl: Option<Vec<Acl>>,
    ) -> PyResult<Py<Self>> {
        let mode = mode_of(ephemeral, sequential, container, ttl)
            .map_err(|trouble| trouble.into_exception(py))?;
        let create = NewNode { path: path.clone(), data, mode, acl }.to_core();
        slf.get().add(path, |multi| multi.create(create));
        Ok(slf)
    }

    /// Adds the setting of a node's data, if it has this version; without one, whatever version it
    /// has. Its result is a `Stat`.
    #[pyo3(signature = (path, data, version=None))]
    fn set(slf: Py<Self>, path: String, data: Bytes, version: Option<i32>) -> Py<Self> {
        slf.get().add(path.clone(), |multi| multi.set_data(&path, &data.0, version));
        slf
    }

    /// Adds the deletion of a node, if it has this version; without one, whatever version it has.
    /// Its result is None.
    #[pyo3(signature = (path, version=None))]
    fn delete(slf: Py<Self>, path: String, version: Option<i32>) -> Py<Self> {
        slf.get().add(path.clone(), |multi| multi.delete(&path, version));
        slf
    }

    /// Adds the condition that a node exists and has this version; without one, whatever version.
    /// Its result is None.
    #[pyo3(signature = (path, version=None))]
    fn check(slf: Py<Self>, path: String, version: Option<i32>) -> Py<Self> {
        slf.get().add(path.clone(), |multi| multi.check(&path, version));
        slf
    }

    fn __len__(&self) -> usize {
        locked(&self.0).multi.len()
    }
}

/// The result of one operation of a transaction that happened.
pub(crate) struct OpResult(pub(crate) core::OpResult);

impl Give for OpResult {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        match self.0 {
            core::OpResult::CreateStat(path, stat) => {
                Created { path: path.into(), stat: Stat::from(stat) }.give(py, side)
            }
            core::OpResult::SetData(stat) => stat.give(py, side),
            core::OpResult::Delete | core::OpResult::Check => ().give(py, side),
            // These are not among the operations that can be added.
            core::OpResult::Create(_)
            | core::OpResult::GetData(..)
            | core::OpResult::GetChildren(_)
            | core::OpResult::Error(_) => ().give(py, side),
        }
    }
}

/// The code of one operation of a transaction that was refused.
pub(crate) fn result_code(result: &core::OpResult) -> i32 {
    match result {
        core::OpResult::Error(code) => code.code(),
        core::OpResult::Create(_)
        | core::OpResult::CreateStat(..)
        | core::OpResult::Delete
        | core::OpResult::SetData(_)
        | core::OpResult::Check
        | core::OpResult::GetData(..)
        | core::OpResult::GetChildren(_) => core::ErrorCode::Ok.code(),
    }
}

/// Commits a transaction.
pub(crate) async fn commit(
    client: &core::Client,
    operations: Operations,
) -> Result<Vec<OpResult>, Trouble> {
    let Operations { multi, paths } = operations;
    match client.multi(multi).await {
        Ok(results) => Ok(results.into_iter().map(OpResult).collect()),
        Err(error) => Err(Trouble::Transaction(error, paths)),
    }
}

/// Several reads in one request (servers of 3.6 or later), so that they take one round trip.
///
/// It belongs to no client: fill it in, and give it to `multi_read` of one. Each method adds a read
/// and returns the same object, so that calls can be chained. It may be given repeatedly.
#[pyclass(frozen, module = "bellwether")]
#[derive(Default)]
pub(crate) struct MultiRead(Mutex<Reads>);

/// The reads, and what each is of.
#[derive(Clone, Default)]
pub(crate) struct Reads {
    reads: core::MultiRead,
    of: Vec<(core::OpCode, String)>,
}

impl MultiRead {
    pub(crate) fn reads(&self) -> Reads {
        locked(&self.0).clone()
    }

    fn add(
        &self,
        (op, path): (core::OpCode, String),
        add: impl FnOnce(core::MultiRead, &str) -> core::MultiRead,
    ) {
        let mut reads = locked(&self.0);
        reads.reads = add(std::mem::take(&mut reads.reads), &path);
        reads.of.push((op, path));
    }
}

#[pymethods]
impl MultiRead {
    #[new]
    fn new() -> MultiRead {
        MultiRead::default()
    }

    /// Adds a node's data. Its result is a pair of bytes and `Stat`, as of `Client.get`.
    fn get(slf: Py<Self>, path: String) -> Py<Self> {
        slf.get().add((core::OpCode::GetData, path), |reads, path| reads.get_data(path));
        slf
    }

    /// Adds the names of a node's children. Its result is a list of them, as of `Client.children`.
    fn children(slf: Py<Self>, path: String) -> Py<Self> {
        slf.get().add((core::OpCode::GetChildren, path), |reads, path| reads.get_children(path));
        slf
    }

    fn __len__(&self) -> usize {
        locked(&self.0).of.len()
    }
}

/// What one of several reads gave.
pub(crate) enum ReadResult {
    Data(Option<core::Data>, core::Stat),
    Children(Vec<Box<str>>),
    /// It becomes an exception that is not raised.
    Refused(Trouble),
}

impl ReadResult {
    fn new((op, path): (core::OpCode, String), result: core::ReadResult) -> ReadResult {
        match result {
            core::ReadResult::Data(data, stat) => ReadResult::Data(data, stat),
            core::ReadResult::Children(names) => ReadResult::Children(names),
            core::ReadResult::Refused(code) => {
                let refused = core::Error::Refused { op, path: path.as_str().into(), code };
                ReadResult::Refused(Trouble::Client(refused, Some(path)))
            }
        }
    }
}

impl Give for ReadResult {
    fn give(self, py: Python<'_>, side: &Side) -> PyResult<Py<PyAny>> {
        match self {
            ReadResult::Data(data, stat) => (data, stat).give(py, side),
            ReadResult::Children(names) => names.give(py, side),
            ReadResult::Refused(trouble) => {
                Ok(trouble.into_exception(py).into_value(py).into_any())
            }
        }
    }
}

/// Does the reads.
pub(crate) async fn read_all(
    client: &core::Client,
    reads: Reads,
) -> Result<Vec<ReadResult>, Trouble> {
    let Reads { reads, of } = reads;
    let results = client.multi_read(reads).await?;
    Ok(of.into_iter().zip(results).map(|(of, result)| ReadResult::new(of, result)).collect())
}
