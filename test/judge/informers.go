package judge

import (
	"fmt"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// still is an informer without a watch: what is put into its indexer is what every plugin sees from then on. Real informers over a fake
// API server would do the same with goroutines and waits, hundreds of times slower.
type still struct {
	cache.SharedIndexInformer
	indexer cache.Indexer
}

// AddIndexers does so to the indexer.
func (s still) AddIndexers(indexers cache.Indexers) error { return s.indexer.AddIndexers(indexers) }

// GetIndexer answers what the plugins read.
func (s still) GetIndexer() cache.Indexer { return s.indexer }

// GetStore answers the same.
func (s still) GetStore() cache.Store { return s.indexer }

// HasSynced is true: there is nothing to wait for.
func (s still) HasSynced() bool { return true }

// AddEventHandler drops the handler. The plugins' caches use it only to forget what they have assumed, which filters do not do.
func (s still) AddEventHandler(cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	return s, nil
}

// HasSyncedChecker is never asked.
func (s still) HasSyncedChecker() cache.DoneChecker { return nil }

// stores are what the plugins' listers read, by type.
type stores map[reflect.Type]cache.Indexer

// newInformers answers a factory whose informers of the types that filters read are still.
func newInformers() (informers.SharedInformerFactory, stores) {
	factory, all := informers.NewSharedInformerFactory(fake.NewClientset(), 0), stores{}
	for _, o := range []runtime.Object{
		&corev1.Service{}, &corev1.ReplicationController{}, &appsv1.ReplicaSet{}, &appsv1.StatefulSet{},
		&corev1.Namespace{}, &corev1.Node{}, &corev1.Pod{}, &corev1.PersistentVolume{}, &corev1.PersistentVolumeClaim{},
		&storagev1.StorageClass{}, &storagev1.CSINode{}, &storagev1.CSIDriver{}, &storagev1.CSIStorageCapacity{}, &storagev1.VolumeAttachment{},
	} {
		s := still{indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})}
		all[reflect.TypeOf(o)] = s.indexer
		factory.InformerFor(o, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer { return s })
	}
	return factory, all
}

// put adds the object, or replaces the one of its name. Objects of types that no filter reads are left out.
func (s stores) put(o runtime.Object) {
	if store, read := s[reflect.TypeOf(o)]; read {
		if err := store.Update(o); err != nil {
			panic(fmt.Sprintf("indexing %T: %v", o, err)) // only if a key or index function fails
		}
	}
}
